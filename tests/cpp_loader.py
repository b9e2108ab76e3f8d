"""Runs serving_bytes of a SavedModel with TensorFlow's C++ loader, as TensorFlow Serving does.

python tests/cpp_loader.py LIBTENSORFLOW_CC SAVED_MODEL INPUT ERROR STYLIZED_BYTES FILE ...

INPUT, ERROR and STYLIZED_BYTES are the tensors of the signature. It prints the version of TensorFlow and the error of
each file. The library is tensorflow/libtensorflow_cc.so.2 of any wheel since 2.12, which can be unpacked anywhere.
"""

import ctypes
import json
import pathlib
import sys
from ctypes import c_char_p, c_int, c_int64, c_size_t, c_void_p

STRING = 7  # TF_STRING; its elements, TF_TString, have 24 bytes
POINTERS = ("NewStatus", "NewGraph", "NewSessionOptions", "LoadSessionFromSavedModel", "GraphOperationByName")
POINTERS += ("AllocateTensor", "TensorData", "StringGetDataPointer")


class Output(ctypes.Structure):
    """TF_Output: one tensor of a graph."""

    _fields_ = (("operation", c_void_p), ("index", c_int))


class Session:
    """A SavedModel in a session of TensorFlow's C library."""

    def __init__(self, library, folder):
        self.tf = ctypes.CDLL(library, ctypes.RTLD_GLOBAL)
        for name in POINTERS:
            getattr(self.tf, f"TF_{name}").restype = c_void_p
        self.tf.TF_Message.restype = self.tf.TF_Version.restype = c_char_p
        self.tf.TF_Dim.restype, self.tf.TF_StringGetSize.restype = c_int64, c_size_t
        self.status, self.graph = c_void_p(self.tf.TF_NewStatus()), c_void_p(self.tf.TF_NewGraph())
        options, tags = c_void_p(self.tf.TF_NewSessionOptions()), (c_char_p * 1)(b"serve")
        load = self.tf.TF_LoadSessionFromSavedModel
        self.session = c_void_p(load(options, None, folder.encode(), tags, 1, self.graph, None, self.status))
        self.check()

    def check(self):
        if self.tf.TF_GetCode(self.status):
            sys.exit(self.tf.TF_Message(self.status).decode())

    def tensor(self, name):
        operation, index = name.split(":")
        return Output(self.tf.TF_GraphOperationByName(self.graph, operation.encode()), int(index))

    def strings(self, values):
        """Convert strings to a TF_Tensor."""
        made = c_void_p(self.tf.TF_AllocateTensor(STRING, (c_int64 * 1)(len(values)), 1, c_size_t(24 * len(values))))
        start = self.tf.TF_TensorData(made)
        for k, value in enumerate(values):
            self.tf.TF_StringInit(c_void_p(start + 24 * k))
            self.tf.TF_StringCopy(c_void_p(start + 24 * k), value, c_size_t(len(value)))
        return made

    def values(self, tensor):
        """The strings in a TF_Tensor."""
        start, count = self.tf.TF_TensorData(c_void_p(tensor)), self.tf.TF_Dim(c_void_p(tensor), 0)
        elements = [c_void_p(start + 24 * k) for k in range(count)]
        return [
            ctypes.string_at(self.tf.TF_StringGetDataPointer(element), self.tf.TF_StringGetSize(element))
            for element in elements
        ]

    def run(self, given, values, wanted):
        inputs, fed = (Output * 1)(self.tensor(given)), (c_void_p * 1)(self.strings(values))
        outputs, fetched = (Output * len(wanted))(*map(self.tensor, wanted)), (c_void_p * len(wanted))()
        count = len(wanted)
        self.tf.TF_SessionRun(self.session, None, inputs, fed, 1, outputs, fetched, count, None, 0, None, self.status)
        self.check()
        return [self.values(tensor) for tensor in fetched]


def main(library, folder, given, error, stylized, *files):
    session = Session(library, folder)
    errors, made = session.run(given, [pathlib.Path(file).read_bytes() for file in files], [error, stylized])
    if [bool(data) for data in made] != [not text for text in errors]:
        sys.exit("a row has both a picture and an error, or neither")
    print(json.dumps([session.tf.TF_Version().decode(), *(text.decode() for text in errors)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
