"""Makes tf.train.Checkpoint track all variables of a Keras model.

Keras 3.15 tracks layers that are attributes, but layers in lists only for a SavedModel. The checkpoint of a subclassed
model with its blocks in a list is written without their weights and restored without an error, even with
`assert_existing_objects_matched()`, which checks only tracked variables.
"""

from collections.abc import Iterator

import keras
import tensorflow as tf

from kgan.keras_internals import is_trackable, track


def checkpoint(**roots: keras.Model | tf.Module | tf.Variable) -> tf.train.Checkpoint:
    """Make a `tf.train.Checkpoint` that includes layers in lists and dicts.

    Args:
        **roots: the objects to save, by name.

    Returns:
        The checkpoint.

    Raises:
        ValueError: if a variable of a Keras model would be missing.
    """
    for root in roots.values():
        track_collections(root)
    made = tf.train.Checkpoint(**roots)
    missed = [path for root in roots.values() for path in untracked(root)]
    if missed:
        raise ValueError(f"a checkpoint should hold every variable. Missing: {', '.join(missed[:5])}")
    return made


def track_collections(root: object, seen: set[int] | None = None) -> None:
    """Add checkpoint dependencies, such as `name_0`, on all objects in lists and dicts of the layers of `root`.

    Args:
        root: a layer or module.
        seen: ids of objects that are done.
    """
    seen = set() if seen is None else seen
    if id(root) in seen:
        return
    seen.add(id(root))
    former = getattr(root, "former_names", {})
    for name, value, in_collection in list(_trackables(root)):
        if in_collection:
            track(root, value, name)
        attribute, separator, key = name.partition("_") if in_collection else (name, "", "")
        if attribute in former:  # a second name for the object, so that older checkpoints can be read
            track(root, value, former[attribute] + separator + key)
        if isinstance(value, keras.Layer | tf.Module):
            track_collections(value, seen)


def _trackables(root: object) -> Iterator[tuple[str, object, bool]]:
    """(name, value, whether it is in a collection) of the trackable attributes of `root`."""
    for name, value in vars(root).items():
        if name.startswith("_"):
            continue
        inside = dict(enumerate(value)) if isinstance(value, list | tuple) else value if isinstance(value, dict) else {}
        found = [(f"{name}_{key}", item, True) for key, item in inside.items()]
        found += [(name, value, False)]
        yield from (each for each in found if is_trackable(each[1]))


def untracked(root: object) -> list[str]:
    """The paths of Keras variables of `root` that are missing in its checkpoint."""
    seen = {id(each) for each in tf.train.TrackableView(root).descendants()}
    layers = [root] if isinstance(root, keras.Layer) else [v for v in vars(root).values() if isinstance(v, keras.Layer)]
    variables = [variable for layer in layers for variable in layer.variables]
    return [v.path for v in variables if id(v) not in seen and id(v.value) not in seen]
