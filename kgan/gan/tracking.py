"""Makes tf.train.Checkpoint see all of a Keras model.

Keras 3.15 tracks layers that are attributes, and those in an attribute's list only for a SavedModel. A checkpoint of a
subclassed model that keeps its blocks in a list is written without their weights and restored without an error, past
`assert_existing_objects_matched()` too: what is not seen cannot be missed.
"""

from collections.abc import Iterator

import keras
import tensorflow as tf


def checkpoint(**roots: keras.Model | tf.Module | tf.Variable) -> tf.train.Checkpoint:
    """`tf.train.Checkpoint(**roots)`, layers in lists and dicts included.

    Raises ValueError when a variable of a Keras model among the roots would still be left out.
    """
    for root in roots.values():
        track_collections(root)
    made = tf.train.Checkpoint(**roots)
    missed = [path for root in roots.values() for path in untracked(root)]
    if missed:
        raise ValueError(f"a checkpoint should hold every variable. Missing: {', '.join(missed[:5])}")
    return made


def track_collections(root: object, seen: set[int] | None = None) -> None:
    """Give every layer below `root` a checkpoint dependency, `name_0`, on each trackable in its lists and dicts."""
    seen = set() if seen is None else seen
    if id(root) in seen:
        return
    seen.add(id(root))
    former = getattr(root, "former_names", {})
    for name, value, in_collection in list(_trackables(root)):
        if in_collection:
            root._track_trackable(value, name, overwrite=True)
        attribute, separator, key = name.partition("_") if in_collection else (name, "", "")
        if attribute in former:  # one object under two names: what older checkpoints call it is found too
            root._track_trackable(value, former[attribute] + separator + key, overwrite=True)
        if isinstance(value, keras.Layer | tf.Module):
            track_collections(value, seen)


def _trackables(root: object) -> Iterator[tuple[str, object, bool]]:
    """(name, value, whether it sits in a collection) of the trackables that are attributes of `root`."""
    for name, value in vars(root).items():
        if name.startswith("_"):
            continue
        inside = enumerate(value) if isinstance(value, list | tuple) else ()
        inside = value.items() if isinstance(value, dict) else inside
        found = [(f"{name}_{key}", item, True) for key, item in inside]
        found += [(name, value, False)]
        yield from (each for each in found if isinstance(each[1], tf.__internal__.tracking.Trackable))


def untracked(root: object) -> list[str]:
    """Paths of the Keras variables of `root` that a checkpoint of it would leave out."""
    seen = {id(each) for each in tf.train.TrackableView(root).descendants()}
    layers = [root] if isinstance(root, keras.Layer) else [v for v in vars(root).values() if isinstance(v, keras.Layer)]
    variables = [variable for layer in layers for variable in layer.variables]
    return [v.path for v in variables if id(v) not in seen and id(v.value) not in seen]
