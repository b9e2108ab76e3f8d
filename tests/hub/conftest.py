"""The stand-in for the hub, an empty cache and a token, for the tests of this folder."""

import pytest
from hub_server import TOKEN, Hub
from huggingface_hub import constants

from kgan.runs import hub as addresses


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that huggingface_hub talks to, with an empty cache. Large files go as in Git LFS, not by Xet."""
    with Hub(tmp_path / "hub") as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants._HF_DEFAULT_ENDPOINT, hub.address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        addresses._say_once.cache_clear()
        yield hub


@pytest.fixture
def offline(monkeypatch):
    """A function after which huggingface_hub asks no server, as with HF_HUB_OFFLINE=1."""
    return lambda: monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
