"""Kill a training again and again, mostly while it saves; it must go on and end as if nothing had happened.

    python scripts/soak.py --rounds 50          (also: make soak)

A round is one kill -9: at a random moment of a process's life, or, two times out of three, just after a checkpoint's
first file has appeared. Each next process must go on from the newest complete checkpoint. A run that reached its end
must have the weights and the metrics of an undisturbed run, bit for bit; then the next run begins.
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

STEPS = 30
SETTINGS = f"""--recipe mmd --weight features=0 --size 16 --filters 4 --blocks 1 --batch-size 4 --steps {2 * STEPS}
               --stop-after {STEPS} --checkpoint-every 1 --log-every 1 --sample-every 12""".split()
PATIENCE = 120.0


def main() -> int:
    """Run the command line; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50, help="kills (default: 50)")
    parser.add_argument("--seed", type=int, default=None, help="of the moments (default: another one every time)")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"soak: {options.rounds} rounds, --seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="kgan-soak-") as folder:
        return soak(pathlib.Path(folder), options.rounds, random.Random(seed))


def soak(home: pathlib.Path, rounds: int, moments: random.Random) -> int:
    """Returns the exit status: 0 if every run ended like the undisturbed one."""
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
    """One process that trains the run `name`, or goes on with it."""

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
        context = multiprocessing.get_context("forkserver")  # forked from a process that imported TensorFlow only
        context.set_forkserver_preload(["kgan.training.train", "kgan.cli", "kgan.gan.one_way"])
        self.process = context.Process(target=train, args=(words, str(self.log)), daemon=True)
        self.process.start()

    def newest(self) -> int:
        """Step of the newest checkpoint that has its last file; -1 where there is none."""
        return max((int(path.stem[5:]) for path in self.checkpoints.glob("ckpt-*.index")), default=-1)

    def finish(self) -> None:
        self.process.join(PATIENCE)
        self._verify(self.process.exitcode == 0)
        self._check_start()

    def kill(self, moments: random.Random) -> tuple[bool, bool]:
        """(whether it was killed before it had ended, whether a checkpoint was being written)."""
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
        with contextlib.suppress(FileNotFoundError):
            return any(entry.name.endswith("_temp") for entry in os.scandir(self.checkpoints))
        return False

    def _half_recorded(self) -> bool:
        """All files are there, but the list of checkpoints does not name them yet; or old ones are being removed."""
        with contextlib.suppress(FileNotFoundError):
            listed = set(
                re.findall(
                    r'all_model_checkpoint_paths: "(.*)"', (self.checkpoints / "checkpoint").read_text(encoding="utf-8")
                )
            )
            return listed != {path.name.split(".")[0] for path in self.checkpoints.glob("ckpt-*.*")}
        return self.checkpoints.exists()

    def _check_start(self) -> None:
        """A life that came so far as to say where it begins began at the newest checkpoint, or at one before it and
        said why."""
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
    """Body of a process: the command line, its output in a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from kgan.cli import main as command

    sys.exit(command(words))


def compare(expected: pathlib.Path, got: pathlib.Path) -> None:
    """Exit with status 1 unless both runs have the same weights at the end, and the same metrics all along."""
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
    """The bytes of every variable of a checkpoint."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    names = [name for name in reader.get_variable_to_shape_map() if not re.search("OBJECT_GRAPH|save_counter", name)]
    return {name: reader.get_tensor(name).tobytes() for name in names}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    sys.exit(main())
