"""Apache Beam. It is an optional part of kgan. This module does not import TensorFlow."""

from types import ModuleType

from kgan.errors import UserError


def beam() -> ModuleType:
    """The module `apache_beam`.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import apache_beam
    except ImportError:
        raise UserError("kgan batch needs Apache Beam, which is not installed: pip install 'kgan[batch]'") from None
    return apache_beam
