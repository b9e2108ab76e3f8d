"""The command `kgan train`."""

from kgan import console, memory
from kgan.commands import Command
from kgan.parsing import parse
from kgan.runs import recipes, run_folder, xla_cache
from kgan.runs.settings import TrainConfig


def read(args: list[str]) -> TrainConfig:
    """Parse settings. With --resume, the settings of the run are the defaults, and few of them may be changed."""
    config = parse(TrainConfig, args, "kgan train")
    if not config.resume:
        return recipes.resolve(config)
    saved = run_folder.saved_config(config.run)
    return run_folder.resumed_config(saved, parse(TrainConfig, args, "kgan train", default=saved))


def run(config: TrainConfig) -> None:
    """Train with resolved settings. This imports TensorFlow."""
    xla_cache.keep(config.cache)
    with console.without_chatter():
        from kgan.training.train import train
    train(config)


def _less_memory(config: TrainConfig) -> str:
    if config.resume:
        return "this run needs a machine with more"
    return memory.smaller_batch(config.batch_size or 1, config.size or 1)


COMMAND = Command("train", TrainConfig, run, place=10, read=read, less_memory=_less_memory, takes_options=True)
