"""A client of the agent domain in plain Python, without any library.

It speaks the NATS text protocol over a socket and knows the agent service only
from its contract: subjects, headers, replies. It tells the life of one agent and
ends with exit code 0 if every answer was the promised one.

    python3 agent.py nats://127.0.0.1:4222
"""

import json
import socket
import sys
import uuid
from urllib.parse import urlparse

PATIENCE_SECONDS = 15


class Nats:
    """As much of a NATS client as a requester needs."""

    def __init__(self, url):
        address = urlparse(url)
        self.socket = socket.create_connection((address.hostname, address.port or 4222), PATIENCE_SECONDS)
        self.stream = self.socket.makefile("rwb")
        self.inbox = f"_INBOX.{uuid.uuid4().hex}"
        self.requests = 0
        greeting = self.stream.readline()
        if not greeting.startswith(b"INFO "):
            raise RuntimeError(f"not a NATS server: {greeting!r}")
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True,
                   "lang": "python", "version": "1", "name": "agent.py"}
        self.write(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        self.write(f"SUB {self.inbox}.* 1\r\n".encode())

    def write(self, data):
        self.stream.write(data)
        self.stream.flush()

    def request(self, subject, payload, headers=None):
        """Sends a request and returns (headers, payload) of its reply."""
        self.requests += 1
        reply_to = f"{self.inbox}.{self.requests}"
        head = "NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in (headers or {}).items()) + "\r\n"
        head = head.encode()
        size = len(head) + len(payload)
        self.write(f"HPUB {subject} {reply_to} {len(head)} {size}\r\n".encode() + head + payload + b"\r\n")
        while True:
            got_subject, got_headers, got_payload = self.next_message()
            # Where a stream captures commands too, its acknowledgement comes first,
            # on the same subject; the service's replies bear a status.
            if got_subject == reply_to and ("Agent-Status" in got_headers or "" in got_headers):
                return got_headers, got_payload

    def next_message(self):
        while True:
            line = self.stream.readline()
            if not line:
                raise RuntimeError("the server closed the connection")
            words = line.decode().split()
            if not words or words[0] in ("+OK", "INFO", "PONG"):
                continue
            if words[0] == "PING":
                self.write(b"PONG\r\n")
            elif words[0] == "-ERR":
                raise RuntimeError(line.decode().strip())
            elif words[0] == "MSG":
                data = self.stream.read(int(words[-1]) + 2)[:-2]
                return words[1], {}, data
            elif words[0] == "HMSG":
                head_size, size = int(words[-2]), int(words[-1])
                data = self.stream.read(size + 2)[:-2]
                return words[1], parse_headers(data[:head_size]), data[head_size:]


def parse_headers(head):
    """Headers as a dict; a status in the first line (`503`: no responders) under the empty name."""
    first, *lines = head.decode().split("\r\n")
    headers = {}
    status = first[len("NATS/1.0"):].strip()
    if status:
        headers[""] = status
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            headers[name] = value.strip()
    return headers


class Agent:
    """One agent, seen from outside."""

    def __init__(self, nats, agent_id):
        self.nats = nats
        self.id = agent_id

    def command(self, verb, fields=None, command_id=None, type=None):
        payload = {"agent_id": self.id, **(fields or {})}
        if type:
            payload["type"] = type
        headers = {"Nats-Msg-Id": command_id or str(uuid.uuid4()), "Agent-Actor": "agent.py"}
        return self.reply(self.nats.request(f"agent.commands.{verb}", json.dumps(payload).encode(), headers))

    def query(self, name, fields=None):
        payload = json.dumps(fields or {}).encode()
        return self.reply(self.nats.request(f"agent.queries.{self.id}.{name}", payload))

    @staticmethod
    def reply(answer):
        headers, payload = answer
        if headers.get("") == "503":
            raise RuntimeError("nobody serves the agent domain")
        reply = json.loads(payload)
        expected = "ok" if reply["status"] == "ok" else reply["code"]
        check("header Agent-Status", headers["Agent-Status"], expected)
        return reply


def check(what, got, expected):
    if got != expected:
        raise SystemExit(f"{what}: expected {expected!r}, got {got!r}")


def pick(reply, *names):
    return {name: reply.get(name) for name in names}


def main(url):
    agent = Agent(Nats(url), str(uuid.uuid4()))

    reply = agent.query("state")
    check("state of an unknown agent", pick(reply, "code", "retryable"), {"code": "not_found", "retryable": False})

    reply = agent.command("deploy", type="DeployAgent", fields={
        "agent_type": "AI",
        "metadata": {"name": "Scout", "description": "finds things", "version": "1.0.0",
                     "owner_id": str(uuid.uuid4()), "tags": ["search"]},
    })
    check("deploy", pick(reply, "status", "id", "version", "duplicate"),
          {"status": "ok", "id": agent.id, "version": 1, "duplicate": False})
    check("events of deploy", [event["type"] for event in reply["events"]], ["deployed"])

    configure_id = str(uuid.uuid4())
    changes = {"changes": {"model": "small", "depth": 3}}
    first = agent.command("update_configuration", changes, command_id=configure_id)
    check("update_configuration", pick(first, "status", "version"), {"status": "ok", "version": 2})

    reply = agent.command("activate", {"activated_by": "operator"})
    check("activate", pick(reply, "status", "version"), {"status": "ok", "version": 3})

    reply = agent.query("state")
    check("state", pick(reply, "status", "id", "version"), {"status": "ok", "id": agent.id, "version": 3})
    check("status in state", reply["state"]["status"], "Active")
    check("settings in state", reply["state"]["configuration"]["settings"], changes["changes"])

    reply = agent.query("state", {"at_version": 1})
    check("state at version 1", reply["state"]["status"], "Deployed")

    reply = agent.query("history", {"limit": 2})
    check("first page of history", [event["type"] for event in reply["events"]], ["deployed", "configuration_changed"])
    reply = agent.query("history", {"after": reply["next"], "limit": 2})
    check("second page of history", [event["type"] for event in reply["events"]], ["activated"])
    check("end of history", reply["next"], None)
    check("event's payload", pick(reply["events"][0]["data"], "type", "agent_id", "activated_by"),
          {"type": "AgentActivated", "agent_id": agent.id, "activated_by": "operator"})

    reply = agent.command("update_configuration", changes, command_id=configure_id)
    check("the same command again", pick(reply, "status", "version", "duplicate", "events"),
          {"status": "ok", "version": 2, "duplicate": True, "events": first["events"]})

    reply = agent.command("activate")
    check("activating an active agent", pick(reply, "status", "code", "reason", "retryable", "version"),
          {"status": "error", "code": "rejected", "reason": "invalid_transition", "retryable": False, "version": 3})

    print(f"agent {agent.id}: every answer as promised")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "nats://127.0.0.1:4222")
