"""Shared by all tests: tiny models train faster on one thread, and then to the same bit on every machine."""

import os
import sys

import oracles
import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)      # a busy machine is no mistake
settings.load_profile("unhurried")


@pytest.fixture
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def no_leftover_pytest_arguments(monkeypatch):
    """What a test calls must not read pytest's own command line."""
    monkeypatch.setattr(sys, "argv", ["recog"])


def pytest_configure(config):
    """Processes that share the tests share the cores too."""
    if hasattr(config, "workerinput"):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput"):
        session.config.workeroutput["oracles"] = {what: (largest.error, largest.cases) for what, largest in oracles.SEEN.items()}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    for what, found in getattr(node, "workeroutput", {}).get("oracles", {}).items():
        oracles.remember(what, *found)


def pytest_terminal_summary(terminalreporter):
    if oracles.SEEN:
        terminalreporter.section("largest errors against the oracles")
        for line in oracles.table():
            terminalreporter.line(line)
