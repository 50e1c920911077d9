"""A real Kafka broker on loopback: one node, KRaft, a plain listener for the suite and one with TLS and SASL for the job, as Event Hubs has."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.sandboxes import free_ports

PASSWORD = "loopback"
_START_SECONDS = 300.0


@dataclass(frozen=True)
class Received:
    """An event as the hub keeps it."""

    partition: int
    offset: int
    at_ms: int
    key: str | None
    value: bytes

    @property
    def body(self) -> dict[str, Any]:
        """Its JSON."""
        found = json.loads(self.value)
        assert isinstance(found, dict)
        return found


class Broker:
    """One broker; `connection_string` is what the job signs in with, `truststore` what it trusts."""

    def __init__(self, folder: Path, jars: Path) -> None:
        first = free_ports()
        self.plain, self.controller, self.secure = (f"127.0.0.1:{first + n}" for n in range(3))
        self.connection_string = f"Endpoint=sb://127.0.0.1/;SharedAccessKeyName=send;SharedAccessKey={base64.b64encode(os.urandom(24)).decode()}"
        self.truststore = folder / "trust.p12"
        self._folder, self._classpath = folder, str(jars / "*")
        self._process: subprocess.Popen[bytes] | None = None
        self._reads = {
            "bootstrap.servers": self.plain,
            "group.id": "suite",
            "enable.auto.commit": False,
            "log_level": 0,
        }
        self._make_certificate()
        self._configure()

    def _make_certificate(self) -> None:
        store, certificate = self._folder / "server.p12", self._folder / "server.crt"
        secret = ["-storepass", PASSWORD, "-storetype", "PKCS12"]
        names = ["-dname", "CN=localhost", "-ext", "SAN=ip:127.0.0.1,dns:localhost"]
        _run("keytool", "-genkeypair", "-alias", "hub", "-keyalg", "EC", *names, "-keystore", str(store), *secret)
        _run("keytool", "-exportcert", "-alias", "hub", "-keystore", str(store), "-file", str(certificate), *secret)
        trust = ["-keystore", str(self.truststore), *secret]
        _run("keytool", "-importcert", "-noprompt", "-alias", "hub", "-file", str(certificate), *trust)

    def _configure(self) -> None:
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
        lines = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self.controller}",
            "listeners": f"PLAINTEXT://{self.plain},CONTROLLER://{self.controller},SASL_SSL://{self.secure}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self._folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "log.message.timestamp.type": "LogAppendTime",
            # What one publication may have on the Standard tier.
            "message.max.bytes": "1048576",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f'{plain} required "user_$ConnectionString"="{self.connection_string}";',
            "listener.name.sasl_ssl.ssl.keystore.location": str(self._folder / "server.p12"),
            "listener.name.sasl_ssl.ssl.keystore.password": PASSWORD,
            "listener.name.sasl_ssl.ssl.keystore.type": "PKCS12",
        }
        (self._folder / "server.properties").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._java(
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={identity}",
            "-c",
            str(self._folder / "server.properties"),
        )

    def _command(self, name: str, *arguments: str) -> list[str]:
        return ["java", "-Xmx384m", "-XX:+UseSerialGC", "-cp", self._classpath, name, *arguments]

    def _java(self, name: str, *arguments: str) -> None:
        _run(*self._command(name, *arguments))

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self._folder / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._folder / "server.properties")),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        consumer = Consumer(self._reads)
        try:
            wait_until(lambda: _answers(consumer, self._process), _START_SECONDS, f"see {self._folder / 'broker.log'}")
        finally:
            consumer.close()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; what it holds stays on disk."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(300)
            self._process = None

    @property
    def pid(self) -> int:
        """The process that runs it."""
        assert self._process is not None
        return self._process.pid

    def create(self, topic: str, partitions: int = 2) -> None:
        """Make a topic."""
        admin = AdminClient({"bootstrap.servers": self.plain})
        for made in admin.create_topics([NewTopic(topic, partitions, 1)]).values():
            made.result(30)

    def read(self, topic: str) -> list[Received]:
        """All events of a topic, each partition's in order."""
        consumer = Consumer(self._reads)
        try:
            partitions = sorted(consumer.list_topics(topic, 20).topics[topic].partitions)
            return [event for number in partitions for event in _read(consumer, topic, number)]
        finally:
            consumer.close()


def wait_until(is_so: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `is_so` gives once it is true. Raises AssertionError after so many seconds."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found = is_so()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not so within {seconds} s: {what}")


def _read(consumer: Consumer, topic: str, partition: int) -> Sequence[Received]:
    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), 20)
    found: list[Received] = []
    if high > low:
        consumer.assign([TopicPartition(topic, partition, low)])
        while not found or found[-1].offset < high - 1:
            for message in consumer.consume(10_000, 5.0):
                if message.error() is None:
                    key = message.key()
                    found.append(
                        Received(
                            partition,
                            message.offset(),
                            message.timestamp()[1],
                            None if key is None else key.decode(),
                            message.value(),
                        )
                    )
    return found


def _answers(consumer: Consumer, process: subprocess.Popen[bytes] | None) -> bool:
    """Whether every partition that it had before can be read again."""
    assert process is not None
    assert process.poll() is None, "the broker has ended"
    try:
        topics = consumer.list_topics(timeout=1.0).topics.values()
        for topic in topics:
            for number in topic.partitions:
                consumer.get_watermark_offsets(TopicPartition(topic.topic, number), 1.0)
    except KafkaException:
        return False
    return True


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
