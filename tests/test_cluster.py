"""Searches on the workers of a cluster: the same results, caches and order as in this process."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from threading import Thread
from typing import Any

import pytest
from clusters import LocalCluster, fails, local_cluster, process_of
from codesign.jobs import product
from fusion.networks import residual
from study.runs import BUDGET, problem
from workload.tiny_networks import model, node, value, weight

import toolkit
import toolkit.cluster
from toolkit.cli.app import main
from toolkit.cluster import Cluster, Connected
from toolkit.codesign.exact import prove_hardware
from toolkit.codesign.exact.question import question_of
from toolkit.codesign.job import JobSettings, make_job
from toolkit.errors import InputError, MissingPackageError
from toolkit.fusion import FusionResult, MappedModel, find_partition
from toolkit.fusion.large_layers import ProofTask, prove_all
from toolkit.processes import in_processes
from toolkit.search.network import LayerSearch
from toolkit.search.network.cache import LayerCache
from toolkit.search.result import Budget
from toolkit.study.compare.comparison import compare

pytest.importorskip("distributed")

QUICK = LayerSearch(budget=Budget(evaluations=200))


@pytest.fixture(scope="module")
def running() -> Iterator[LocalCluster]:
    with local_cluster(2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def two(running: LocalCluster) -> Iterator[Connected]:
    with Cluster(running.address).connected() as connected:
        yield connected


def test_tasks_run_in_both_workers_and_nowhere_else(two: Connected) -> None:
    found = dict(in_processes(process_of, [0.2] * 6, two))
    assert sorted(found) == list(range(6))
    assert len(set(found.values())) == two.workers == 2
    assert os.getpid() not in found.values()
    assert list(in_processes(process_of, [], two)) == []


def test_errors_of_tasks_come_back_as_they_are(two: Connected) -> None:
    with pytest.raises(InputError, match="here: number 3") as caught:
        list(in_processes(fails, [3], two))
    assert caught.value.source == "here"


def test_comparisons(two: Connected, tmp_path: Path) -> None:
    arguments = ([problem(), problem(8)], ("greedy", "random"), BUDGET, 2)
    here = compare(*arguments)
    there = compare(*arguments, jobs=two, storage=tmp_path / "runs.journal")
    assert [o.run.name for o in there.outcomes] == [o.run.name for o in here.outcomes]
    assert [o.mapping for o in there.outcomes] == [o.mapping for o in here.outcomes]
    again = compare(*arguments, jobs=two, storage=tmp_path / "runs.journal")
    assert [o.objective for o in again.outcomes] == [o.objective for o in here.outcomes]


def graph() -> toolkit.LayerGraph:
    net = toolkit.NetworkByHand("three")
    for number in (4, 6, 9):
        net.add_layer(f"layer{number}", toolkit.gemm(number, 5, 7))
    return net.graph()


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.json"))
    }


def test_networks_and_their_caches(two: Connected, tmp_path: Path) -> None:
    archs = [toolkit.load_arch(name) for name in ("eyeriss", "simba")]
    told: dict[str, list[int]] = {"here": [], "there": []}
    found = {
        name: toolkit.compare_networks(
            [graph()],
            archs,
            QUICK,
            jobs=jobs,
            cache=tmp_path / name,
            on_layer=lambda progress, name=name: told[name].append(progress.done),
        )
        for name, jobs in (("here", 1), ("there", two))
    }
    here, there = (found[name].to_dict() for name in ("here", "there"))
    assert here == there
    for a, b in zip(found["here"].results, found["there"].results, strict=True):
        assert [layer.cost for layer in a.layers] == [layer.cost for layer in b.layers]
    assert files(tmp_path / "here") == files(tmp_path / "there") != {}
    assert told["here"] == told["there"] == [1, 2, 3, 1, 2, 3]


def fused(jobs: int | Connected, folder: Path) -> tuple[MappedModel, FusionResult]:
    arch = toolkit.load_arch("eyeriss-conv")
    priced = MappedModel(
        residual(), arch, search=QUICK, proof_seconds=0.0, cache=folder, jobs=jobs
    )
    return priced, find_partition(priced, "greedy", most_layers=2)


def test_fused_layers(two: Connected, tmp_path: Path) -> None:
    (one, here), (other, there) = (
        fused(jobs, tmp_path / name) for name, jobs in (("here", 1), ("there", two))
    )
    assert [option.plan for option in there.groups] == [option.plan for option in here.groups]
    assert there.value == here.value
    assert other.costs.evaluations == one.costs.evaluations
    assert other.costs.status == one.costs.status
    assert files(tmp_path / "here") == files(tmp_path / "there") != {}
    again, _ = fused(two, tmp_path / "there")
    assert again.costs.evaluations == one.costs.evaluations


def test_proofs_of_layers(two: Connected, tmp_path: Path) -> None:
    arch = toolkit.load_arch("eyeriss")
    tasks = [ProofTask(arch, toolkit.gemm(m, 2, 3)) for m in (2, 3, 5)]
    found, told = {}, []
    for name, jobs in (("here", 1), ("there", two), ("there", 1)):
        found[name] = prove_all(
            tasks,
            toolkit.STEADY,
            seconds=20.0,
            store=LayerCache(tmp_path / name),
            jobs=jobs,
            on_proof=lambda done, total: told.append((done, total)),
        )
    assert found["here"] == found["there"]
    assert len(found["here"]) == 3
    assert files(tmp_path / "here") == files(tmp_path / "there")
    assert told == [(1, 3), (2, 3), (3, 3)] * 3


def test_proofs_over_hardware(two: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []

    def counted(function: Any, tasks: Any, jobs: Any) -> Any:
        sent.append(len(tasks))
        return in_processes(function, tasks, jobs)

    monkeypatch.setattr("toolkit.codesign.exact.layers.in_processes", counted)
    layers = [product("a", 4, 6, 2, "x", "y"), product("b", 3, 4, 2, "y", "z")]
    network = toolkit.LayerGraph.from_layers(layers, name="tiny")
    sizes = {"side": [2], "scratchpad_words": [32], "accumulator_words": [4, 8]}
    settings = JobSettings(ranges=sizes, area_budget_um2=1.92e4, factors="perfect")
    question = question_of(make_job("gemmini-ws", [network], settings))
    here, there = prove_hardware(question), prove_hardware(question, jobs=two)
    records = [proof.record() for proof in (here, there)]
    for record in records:
        del record["seconds"]
    assert records[0] == records[1]
    assert sent
    assert set(sent) == {2}


def test_workers_and_schedulers_that_are_killed(tmp_path: Path) -> None:
    tasks = [0.2] * 8
    with local_cluster(2) as cluster:
        address, found = Cluster(cluster.address), {}
        for place, process in in_processes(process_of, tasks, address):
            found[place] = process
            if len(found) == 2:
                cluster.workers[0].kill()
        assert sorted(found) == list(range(8))
        assert set(list(found.values())[4:]) == {cluster.workers[1].pid}
        # A worker of several threads would run tasks beside each other.
        cluster.add_worker(threads=2)
        cluster.wait(2)
        with pytest.raises(InputError, match="runs 2 tasks in one process; expected workers of o"):
            list(in_processes(process_of, tasks, address))
        cluster.workers[2].kill()
        cluster.wait(1)
        with pytest.raises(InputError, match="^cluster: 'tcp://.*: the connection was lost: "):
            for _ in in_processes(process_of, tasks, address):
                cluster.processes[0].kill()


def test_other_sources_are_refused(running: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.version.__version__", "0")
    toolkit.cluster._facts.cache_clear()
    with (
        pytest.raises(InputError, match=r"expected what is here, Python 3\.\d+ and toolkit 0 "),
        Cluster(running.address).connected(),
    ):
        pass
    toolkit.cluster._facts.cache_clear()


def test_workers_that_end_as_they_are_asked_are_none() -> None:
    class Asked:
        def __init__(self, broken: Exception) -> None:
            self.facts = {"tcp://a": broken, "tcp://b": toolkit.cluster._facts()}

        def wait_for_workers(self, count: int, timeout: float) -> None:
            pass

        def nthreads(self) -> dict[str, int]:
            return dict.fromkeys(self.facts, 1)

        def run(self, function: Any, *, on_error: str) -> dict[str, Any]:
            assert (function, on_error) == (toolkit.cluster._facts, "return")
            return self.facts

    cluster = Cluster("tcp://host:1")
    cluster._check_workers(Asked(ConnectionResetError("by peer")))
    with pytest.raises(InputError, match="worker tcp://a lacks this package as it is here: no to"):
        cluster._check_workers(Asked(ModuleNotFoundError("no toolkit")))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "no scheduler answers: missing port number"),
        ("host", "no scheduler answers: missing port number"),
        ("http://host:1", "no scheduler answers: unknown address scheme 'http'"),
        ("tcp://127.0.0.1:abc", "no scheduler answers: invalid literal"),
        ("tcp://127.0.0.1:1", "no scheduler answers: "),
    ],
)
def test_wrong_addresses(address: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolkit.cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(InputError) as caught, Cluster(address).connected():
        pass
    assert message in str(caught.value)


def test_a_port_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolkit.cluster, "CONNECT_SECONDS", 0.5)
    with socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InputError, match="no scheduler"), Cluster(address).connected():
            pass


def test_a_worker_is_no_scheduler(two: Connected, monkeypatch: pytest.MonkeyPatch) -> None:
    address = next(iter(two.client.nthreads()))
    with pytest.raises(InputError, match="a worker does"), Cluster(address).connected():
        pass


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(MissingPackageError, match=r"a cluster needs distributed.*\[cluster\]"),
        Cluster("tcp://host:1").connected(),
    ):
        pass


def test_commands(
    running: LocalCluster, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    proto = model([node("MatMul", "x w")], [value("x", [2, 4])], [weight("w", 4, 3)])
    (tmp_path / "tiny.onnx").write_bytes(proto.SerializeToString())
    tiny, few = str(tmp_path / "tiny.onnx"), ("--evaluations", "50", "--json")
    lines = {
        "compare": ("compare", "eyeriss", "8", "4", "2", "--strategies", "random", "--seeds", "2"),
        "network": ("network", tiny, "eyeriss", "--no-cache"),
        "networks": ("networks", tiny, "--arch", "eyeriss", "--no-cache"),
        "fused": ("network", tiny, "eyeriss", "--no-cache", "--fusion", "greedy"),
    }
    for name, words in lines.items():
        told = []
        for where in ((), ("--cluster", running.address)):
            own = (
                ("--storage", str(tmp_path / f"{len(where)}.journal")) if name == "compare" else ()
            )
            assert main([*words, *few, *own, *where]) == 0
            told.append(json.loads(capsys.readouterr().out))
        for record in told:
            _without_times(record)
        assert told[0] == told[1]


def _without_times(record: object) -> None:
    if isinstance(record, dict):
        for key in [k for k in record if "seconds" in k or k in ("storage", "runs")]:
            del record[key]
        # Proofs that are limited in time take courses of their own to the same bound.
        for key in ("bound", "bound_within", "within_fraction"):
            if isinstance(record.get(key), float):
                record[key] = float(f"{record[key]:.9g}")
        for inner in record.values():
            _without_times(inner)
    elif isinstance(record, list):
        for inner in record:
            _without_times(inner)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "eyeriss", "8", "4", "2", "--jobs", "2"], "--cluster: given with --jobs"),
        (["network", "resnet18", "eyeriss", "--jobs", "1"], "--cluster: given with --jobs"),
        (["networks", "resnet18", "--arch", "eyeriss"], "--cluster: 'nowhere': no scheduler"),
        (["compare", "eyeriss", "8", "4", "2"], "--cluster: 'nowhere': no scheduler answers"),
        (
            ["codesign", "resnet18", "--template", "gemmini-ws", "--strategies", "random"],
            "--cluster: proofs alone run on it, and random proves nothing",
        ),
        (
            ["codesign", "resnet18", "--template", "gemmini-ws", "--strategies", "exact"],
            "--cluster: 'nowhere': no scheduler answers",
        ),
    ],
)
def test_wrong_words_end_before_any_work(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--cluster", "nowhere"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not list(tmp_path.rglob("*.journal"))


def test_something_else_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as a length, letters of other protocols ask for more memory than there is."""
    monkeypatch.setattr(toolkit.cluster, "CONNECT_SECONDS", 2.0)

    def answer() -> None:
        while True:
            try:
                connection, _ = other.accept()
            except OSError:
                return
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        Thread(target=answer, daemon=True).start()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(InputError, match="no scheduler"), Cluster(address).connected():
            pass
