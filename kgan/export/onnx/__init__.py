"""ONNX files: conversion, comparison with Keras, and description."""
