"""The steps of the Dockerfile as a shell script, to run them where there is no Docker.

    mmdebstrap --variant=minbase bookworm root            # a bare Debian, as in debian:bookworm-slim
    python scripts/container_steps.py cpu > root/steps.sh
    mkdir root/context && git archive HEAD | tar -x -C root/context
    cp /etc/resolv.conf root/etc/ && chroot root sh /steps.sh

All stages run in one root. The script ends with the command of the container as its user.
"""

import argparse
import json
import pathlib
import re
import shlex
from typing import NamedTuple

DOCKERFILE = pathlib.Path(__file__).parents[1] / "Dockerfile"
CONTEXT = "/context"


class Step(NamedTuple):
    """An instruction of a Dockerfile, such as ("RUN", "apt-get update")."""

    word: str
    text: str


def steps(text: str) -> list[Step]:
    """The instructions of a Dockerfile, with the lines of each joined."""
    told = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    lines = re.sub(r"\s*\\\n\s*", " ", told).splitlines()
    return [Step(*line.split(maxsplit=1)) for line in lines if line.strip()]


def stages(text: str) -> dict[str, list[Step]]:
    """Name -> the steps of a stage, FROM first."""
    found: dict[str, list[Step]] = {}
    for step in steps(text):
        if step.word == "FROM":
            name = step.text.split()[-1]
            found[name] = []
        if found:
            found[name].append(step)
    return found


def needed(known: dict[str, list[Step]], target: str) -> list[Step]:
    """The steps of a stage after those of the stages that it begins with or copies from, each once."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name not in known or name in ordered:
            return
        for step in known[name]:
            for source in re.findall(r"^(\S+) AS|--from=(\S+)", step.text):
                visit("".join(source))
        ordered.append(name)

    visit(target)
    return [step for name in ordered for step in known[name]]


def shell(step: Step) -> str:
    """A step as a line of a shell script."""
    if step.word == "RUN":
        return step.text
    if step.word == "ENV":
        return f"export {step.text}"
    if step.word == "WORKDIR":
        return f"mkdir -p {step.text} && cd {step.text}"
    if step.word == "COPY" and not step.text.startswith("--from="):
        *sources, target = step.text.split()
        files = " ".join(f"{CONTEXT}/{source}" for source in sources)
        folder = target if target.endswith("/") else target.rpartition("/")[0]
        return f"mkdir -p {folder} && cp -r {files} {target}"
    return f"# {step.word} {step.text}"


def script(text: str, target: str) -> str:
    """The script of a stage."""
    known = needed(stages(text), target)
    last = {step.word: step.text for step in known}
    command = shlex.join([*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])])
    command = f"setpriv --reuid={last['USER']} --regid={last['USER']} --clear-groups {command}"
    return "\n".join(["set -eux", *map(shell, known), command, ""])


if __name__ == "__main__":
    dockerfile = DOCKERFILE.read_text(encoding="utf-8")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=stages(dockerfile), help="a stage of the Dockerfile")
    print(script(dockerfile, parser.parse_args().target), end="")
