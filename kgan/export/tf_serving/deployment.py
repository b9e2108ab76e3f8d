"""Writes deployment files beside served models: configuration of TensorFlow Serving, Compose, Kubernetes and KServe.

All files expect their folder at /models. models.config is updated with the versions of the models. The other files are
written once, so that changes by the user stay. kserve.yaml gets a document for each new model.
"""

import pathlib
import re
import string

from kgan import files
from kgan.export.signatures import MEMORY
from kgan.export.tf_serving.versions import models

SERVING = "2.20.0"
"""Version of the container image, the first with a TensorFlow that decodes WebP."""

GRPC, REST = 8500, 8501
ROOT = "/models"

THREADS = 2
"""Number of rows that a server restyles at the same time. Each may need `MEMORY` bytes."""

GIGABYTES = round(THREADS * MEMORY / 1e9) + 2
"""Memory limit of the container: the memory for all rows, plus 2 GB for the server and a few models of 50 MB."""

ARGUMENTS = (
    f"--port={GRPC}",
    f"--rest_api_port={REST}",
    "--rest_api_timeout_in_ms=120000",
    f"--model_config_file={ROOT}/models.config",
    "--model_config_file_poll_wait_seconds=10",
    "--allow_version_labels_for_unavailable_models=true",
    "--enable_batching=true",
    f"--batching_parameters_file={ROOT}/batching.config",
    f"--monitoring_config_file={ROOT}/monitoring.config",
)

MODEL = string.Template("""\
  config {
    name: "$name"
    base_path: "$root/$name"
    model_platform: "tensorflow"
    model_version_policy { all {} }
    version_labels { key: "stable" value: $stable }
    version_labels { key: "canary" value: $canary }
  }
""")

BATCHING = f"""\
# Rows of all requests wait in one queue, and {THREADS} threads restyle one row each: not merged, since pictures have
# sizes of their own. This bounds the memory; a queue that is full answers 503 (UNAVAILABLE), and clients try again.
max_batch_size {{ value: 64 }}
enable_large_batch_splitting {{ value: true }}
max_execution_batch_size {{ value: 1 }}
batch_timeout_micros {{ value: 0 }}
max_enqueued_batches {{ value: 256 }}
num_batch_threads {{ value: {THREADS} }}
"""

MONITORING = """\
prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }
"""

COMPOSE = string.Template("""\
# docker compose up: the models beside this file, for this machine alone.
services:
  serving:
    image: tensorflow/serving:$image
    entrypoint: [tensorflow_model_server]
    command:
$arguments
    ports: ["127.0.0.1:$grpc:$grpc", "127.0.0.1:$rest:$rest"]
    volumes:
      - {type: bind, source: ., target: $root, read_only: true}
    user: "65534:65534"
    read_only: true
    tmpfs: [/tmp]
    cap_drop: [ALL]
    security_opt: ["no-new-privileges:true"]
    mem_limit: ${gigabytes}g
    restart: unless-stopped
    healthcheck:
      test:
        - CMD
        - bash
        - -c
        - >-
          exec 3<>/dev/tcp/127.0.0.1/$rest && printf 'GET /v1/models/$name HTTP/1.0\\r\\n\\r\\n' >&3
          && grep -q AVAILABLE <&3
      start_period: 60s
""")

DEPLOYMENT = string.Template("""\
# kubectl apply -f deployment.yaml. The claim kgan-models holds what lies beside this file.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: kgan-serving
  labels: {app: kgan-serving}
spec:
  replicas: 2
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  selector: {matchLabels: {app: kgan-serving}}
  template:
    metadata:
      labels: {app: kgan-serving}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "$rest"
        prometheus.io/path: /monitoring/prometheus/metrics
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 65534, runAsGroup: 65534, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: serving
          image: tensorflow/serving:$image
          command: [tensorflow_model_server]
          args:
$arguments
          ports:
            - {name: grpc, containerPort: $grpc}
            - {name: rest, containerPort: $rest}
          startupProbe: {httpGet: {path: /v1/models/$name, port: rest}, periodSeconds: 5, failureThreshold: 60}
          readinessProbe: {httpGet: {path: /v1/models/$name, port: rest}, periodSeconds: 10, timeoutSeconds: 5}
          livenessProbe: {tcpSocket: {port: grpc}, periodSeconds: 20, timeoutSeconds: 5}
          lifecycle: {preStop: {exec: {command: [sleep, "10"]}}}  # until no new requests are sent here
          resources:
            requests: {cpu: "$threads", memory: ${gigabytes}Gi}
            limits: {cpu: "$threads", memory: ${gigabytes}Gi}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: models, mountPath: $root, readOnly: true}
            - {name: tmp, mountPath: /tmp}
      volumes:
        - {name: models, persistentVolumeClaim: {claimName: kgan-models, readOnly: true}}
        - {name: tmp, emptyDir: {}}
---
apiVersion: v1
kind: Service
metadata:
  name: kgan-serving
  labels: {app: kgan-serving}
spec:
  selector: {app: kgan-serving}
  ports:
    - {name: grpc, port: $grpc, targetPort: grpc}
    - {name: rest, port: $rest, targetPort: rest}
""")

KSERVE = string.Template("""\
---
# kubectl apply -f kserve.yaml. KServe serves the newest version; labels are of deployment.yaml and compose.yaml alone.
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: $name
spec:
  predictor:
    minReplicas: 1
    containerConcurrency: $threads
    securityContext: {runAsNonRoot: true, runAsUser: 65534, runAsGroup: 65534, seccompProfile: {type: RuntimeDefault}}
    model:
      modelFormat: {name: tensorflow}
      protocolVersion: v1
      runtimeVersion: $image
      storageUri: pvc://kgan-models/$name
      readinessProbe: {httpGet: {path: /v1/models/$name, port: 8080}, periodSeconds: 10, timeoutSeconds: 5}
      livenessProbe: {tcpSocket: {port: 8080}, periodSeconds: 20, timeoutSeconds: 5}
      resources:
        requests: {cpu: "$threads", memory: ${gigabytes}Gi}
        limits: {cpu: "$threads", memory: ${gigabytes}Gi}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
""")


def write_deployment(root: pathlib.Path, name: str) -> list[pathlib.Path]:
    """Write the deployment files of all models in a folder.

    Args:
        root: the folder of the models.
        name: name of the new model.

    Returns:
        The paths of the files that are new or changed.
    """
    renderers = {
        "models.config": lambda before: models_config(models(root), before),
        "batching.config": lambda before: before or BATCHING,
        "monitoring.config": lambda before: before or MONITORING,
        "compose.yaml": lambda before: before or _filled(COMPOSE, name, indent=6),
        "deployment.yaml": lambda before: before or _filled(DEPLOYMENT, name, indent=12),
        "kserve.yaml": lambda before: _with_model(before, name),
    }
    with files.locked(root / ".lock"):  # of several exports at the same time, the last one sees all versions
        return [root / file for file, render in renderers.items() if _rewritten(root / file, render)]


def models_config(found: dict[str, list[int]], before: str = "") -> str:
    """The text of models.config. The newest version of a model has the label canary.

    The label stable stays at its version if it still exists. All versions are served, because the server moves a label
    only to a version that is loaded already.

    Args:
        found: the versions of each model.
        before: the previous text of models.config.

    Returns:
        The new text.
    """
    blocks = [
        MODEL.substitute(name=name, root=ROOT, stable=_stable(name, numbers, before), canary=numbers[-1])
        for name, numbers in found.items()
    ]
    return "model_config_list {\n" + "".join(blocks) + "}\n"


def _stable(name: str, numbers: list[int], before: str) -> int:
    """The version with the label stable in a previous models.config, or else the oldest version."""
    for block in re.split(r"\bconfig\s*{", before):
        if re.search(rf'\bname:\s*"{name}"', block):
            label = re.search(r'key:\s*"stable"\s*value:\s*(\d+)', block)
            if label and int(label[1]) in numbers:
                return int(label[1])
    return numbers[0]


def _filled(template: string.Template, name: str, indent: int = 0) -> str:
    arguments = "\n".join(f"{' ' * indent}- {argument}" for argument in ARGUMENTS)
    return template.substitute(
        name=name,
        image=SERVING,
        grpc=GRPC,
        rest=REST,
        root=ROOT,
        threads=THREADS,
        gigabytes=GIGABYTES,
        arguments=arguments,
    )


def _with_model(before: str, name: str) -> str:
    known = re.search(rf"^  name: {name}$", before, re.MULTILINE)
    return before if known else before + _filled(KSERVE, name)


def _rewritten(path: pathlib.Path, render) -> bool:
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    after = render(before)
    if after == before:
        return False
    files.write_text(path, after)  # a server may read the file at any time
    return True
