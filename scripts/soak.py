"""Kills a training run many times, mostly while it saves. The result must be the same as that of an undisturbed run.

    python scripts/soak.py --rounds 50          (also: make soak)

A round is one kill -9: at a random time, or, in two of three rounds, just after the first file of a checkpoint appears.
The next process must resume from the newest complete checkpoint. A run that reaches its end must have exactly the
weights and the metrics of an undisturbed run. Then the next run begins.
"""

import argparse
import contextlib
import multiprocessing
import os
import pathlib
import random
import re
import sys
import tempfile
import time

import numpy as np
from PIL import Image
from words import positive

STEPS = 30
SETTINGS = f"""--recipe mmd --weight features=0 --size 16 --filters 4 --blocks 1 --batch-size 4 --steps {2 * STEPS}
               --stop-after {STEPS} --checkpoint-every 1 --log-every 1 --sample-every 12""".split()
PATIENCE = 120.0


def main() -> int:
    """Run the command line. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=positive, default=50, help="number of kills (default: 50)")
    parser.add_argument("--seed", type=int, default=None, help="seed of the times of the kills (default: random)")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"soak: {options.rounds} rounds, --seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="kgan-soak-") as folder:
        return soak(pathlib.Path(folder), options.rounds, random.Random(seed))


def soak(home: pathlib.Path, rounds: int, moments: random.Random) -> int:
    """Run the rounds. Returns the exit status: 0 if every run ended like the undisturbed one."""
    write_pictures(home / "pictures", moments.randrange(100))
    reference = Life(home, "reference")
    reference.finish()
    life, kills, hits, ended = None, 0, 0, 0
    while kills < rounds:
        life = Life(home, f"run{ended}")
        killed, saving = life.kill(moments)
        if killed:
            kills, hits = kills + 1, hits + saving
            print(
                f"round {kills}: killed {'while saving' if saving else 'elsewhere'} after {life.newest()}", flush=True
            )
        else:
            compare(reference.run, life.run)
            ended += 1
    Life(home, life.run.name).finish()
    compare(reference.run, life.run)
    print(f"soak: {rounds} kills, {hits} of them while saving; {ended + 1} runs ended like the undisturbed one")
    return 0


def write_pictures(root: pathlib.Path, seed: int) -> None:
    """Write trainA and trainB below `root`, six pictures of noise each."""
    draw = np.random.default_rng(seed)
    for part in ("trainA", "trainB"):
        (root / part).mkdir(parents=True)
        for index in range(6):
            Image.fromarray(draw.integers(0, 256, (20, 24, 3), np.uint8)).save(root / part / f"{index}.png")


class Life:
    """A process that trains the run `name`, or resumes it."""

    def __init__(self, home: pathlib.Path, name: str):
        self.run = home / name
        self.checkpoints = self.run / "checkpoints"
        words = ["train", "--run", str(self.run)]
        if (self.run / "config.json").exists():
            words += ["--resume", "--stop-after", str(STEPS)]
        else:
            words += ["--data", str(home / "pictures"), "--cache", str(home / "cache"), *SETTINGS]
        self.before = self.newest()
        self.log = home / "log.txt"
        context = multiprocessing.get_context(
            "forkserver"
        )  # each process is a fork of one that only imported TensorFlow
        context.set_forkserver_preload(["kgan.training.train", "kgan.cli", "kgan.gan.one_way"])
        self.process = context.Process(target=train, args=(words, str(self.log)), daemon=True)
        self.process.start()

    def newest(self) -> int:
        """The step of the newest complete checkpoint, or -1."""
        return max((int(path.stem[5:]) for path in self.checkpoints.glob("ckpt-*.index")), default=-1)

    def finish(self) -> None:
        self.process.join(PATIENCE)
        self._verify(self.process.exitcode == 0)
        self._check_start()

    def kill(self, moments: random.Random) -> tuple[bool, bool]:
        """Kill the process. Returns whether it was still running, and whether it was writing a checkpoint."""
        aimed = moments.random() < 0.67
        wanted = self.before + moments.randrange(1, 9)
        end = time.monotonic() + (PATIENCE if aimed else moments.uniform(0.1, 12.0))
        while self.process.is_alive() and time.monotonic() < end:
            if aimed and self.newest() >= wanted and self._is_saving():
                time.sleep(moments.uniform(0.0, 0.004))
                break
            time.sleep(0.0 if aimed and self.newest() >= wanted else 0.01)
        self.process.kill()
        self.process.join()
        self._check_start()
        if self.process.exitcode == 0:
            return False, False
        self._verify(self.process.exitcode == -9)
        return True, self._is_saving() or self._half_recorded()

    def _is_saving(self) -> bool:
        with contextlib.suppress(FileNotFoundError), os.scandir(self.checkpoints) as entries:
            return any(entry.name.endswith("_temp") for entry in entries)
        return False

    def _half_recorded(self) -> bool:
        """Whether the list of checkpoints differs from the files: a new one is not listed, or an old one is removed."""
        with contextlib.suppress(FileNotFoundError):
            listed = set(
                re.findall(
                    r'all_model_checkpoint_paths: "(.*)"', (self.checkpoints / "checkpoint").read_text(encoding="utf-8")
                )
            )
            return listed != {path.name.split(".")[0] for path in self.checkpoints.glob("ckpt-*.*")}
        return self.checkpoints.exists()

    def _check_start(self) -> None:
        """Check that the process resumed from the newest checkpoint, or from an earlier one with a warning."""
        log = self.log.read_text(encoding="utf-8") if self.log.exists() else ""
        said = re.search(r"for steps (\d+) to", log)
        begun = int(said[1]) if said else None
        self._verify(begun in (None, max(0, self.before)) or (f"ckpt-{self.before} is broken" in log))

    def _verify(self, good: bool) -> None:
        if not good:
            self.process.kill()
            said = self.log.read_text(encoding="utf-8")
            print(f"{self.run.name} began at {self.before}, exit status {self.process.exitcode}:\n{said}")
            sys.exit(1)


def train(words: list[str], log: str) -> None:
    """The main function of a process: run the command line, with its output in a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from kgan.cli import main as command

    sys.exit(command(words))


def compare(expected: pathlib.Path, got: pathlib.Path) -> None:
    """Exit with status 1 if the two runs differ in their final weights or in their metrics."""
    if (expected / "metrics.jsonl").read_text(encoding="utf-8") != (got / "metrics.jsonl").read_text(encoding="utf-8"):
        sys.exit(f"{got.name}: its metrics.jsonl differs from the undisturbed run's")
    one, other = (weights(run / "checkpoints" / f"ckpt-{STEPS}") for run in (expected, got))
    differing = [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
    if differing:
        sys.exit(
            f"{got.name}: {len(differing)} of {len(one)} variables differ from the undisturbed run's, as {differing[0]}"
        )
    print(f"{got.name} ended like the undisturbed run: {len(one)} variables, {STEPS} lines of metrics", flush=True)


def weights(prefix: pathlib.Path) -> dict[str, bytes]:
    """The bytes of each variable in a checkpoint."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    names = [name for name in reader.get_variable_to_shape_map() if not re.search("OBJECT_GRAPH|save_counter", name)]
    return {name: reader.get_tensor(name).tobytes() for name in names}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    sys.exit(main())
