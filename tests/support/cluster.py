"""As much of a Kubernetes API as `docker buildx` asks for, since no cluster is to be had: it notes each request.

Deployments are "created" and ready at once; their one pod exists, and refuses to run anything.
"""

import json
import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

_PATH = re.compile(
    r"/apis?/(?:(?P<group>[\w.]+)/)?v1/namespaces/(?P<namespace>[\w-]+)"
    r"/(?P<resource>\w+)(?:/(?P<name>[\w-]+)(?:/(?P<part>\w+))?)?"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in the words of a Role: `resource` is `pods/exec` for a part of a pod."""

    verb: str
    group: str
    resource: str
    namespace: str


class Cluster:
    """`asked` is what came so far, in order; `kubeconfig` leads here."""

    def __init__(self, directory: Path, *, forbids: bool = False) -> None:
        self.asked: list[Asked] = []
        self._deployments: set[str] = set()
        self._forbids = forbids
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, found = cluster._answer(self.command, self.path.partition("?")[0])
                body = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815 -- http.server's own names

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.kubeconfig = directory / "kubeconfig"
        access = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{self._server.server_port}"}}],
            "users": [{"name": "builder", "user": {"token": "a-token"}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "builder"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(access))

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        found = _PATH.fullmatch(path)
        if found is None:
            return 404, _status(404, f"no {path}")
        group, namespace, resource, name, part = found.group("group", "namespace", "resource", "name", "part")
        verb = {"GET": "get" if name else "list", "POST": "create", "DELETE": "delete"}[method]
        self.asked.append(Asked(verb, group or "", f"{resource}/{part}" if part else resource, namespace))
        if part or (self._forbids and method != "GET"):
            return 403, _status(403, f"cannot {verb} {resource}")
        if resource == "pods":
            return 200, {"kind": "PodList", "apiVersion": "v1", "items": [_pod(namespace)]}
        if method == "POST":
            self._deployments.add(namespace)
            return 201, _deployment(namespace)
        if namespace in self._deployments:
            return 200, _deployment(namespace)
        return 404, _status(404, f"no {resource} {name}")


def _status(code: int, message: str) -> dict[str, Any]:
    reason = {403: "Forbidden", 404: "NotFound"}[code]
    told = {"status": "Failure", "message": message, "reason": reason, "code": code}
    return {"kind": "Status", "apiVersion": "v1", **told}


def _deployment(namespace: str) -> dict[str, Any]:
    labels = {"app": "kiln0"}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "kiln0", "namespace": namespace},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}},
        "status": {"replicas": 2, "readyReplicas": 2},
    }


def _pod(namespace: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "kiln0-1", "namespace": namespace, "labels": {"app": "kiln0"}},
        "spec": {"containers": [{"name": "buildkitd", "image": "moby/buildkit"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }
