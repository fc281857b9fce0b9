"""Signals that are only told, and handlers that are put back."""

import os
import signal
import sys

import pytest

from ftcls.environment.signals import Caught


class Noted(Caught):
    def __init__(self):
        super().__init__()
        self.seen = []

    def received(self, caught):
        self.seen.append(caught)


posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals that Windows does not have")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_within_the_block_a_signal_is_only_told(number):
    with Noted() as noted:
        os.kill(os.getpid(), number)
    assert noted.seen == [number]


@pytest.fixture
def heeded():
    """SIGHUP and SIGUSR1 as a shell leaves them: nohup, which may have started the tests, ignores the first."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGHUP, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@posix_only
@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1"])
def test_a_warning_is_told_once_however_often_it_comes(name):
    number = getattr(signal, name)
    with Noted() as noted:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)  # SLURM's, at the limit: it means the same
        assert noted.seen == [number]
        os.kill(os.getpid(), signal.SIGTERM)
    assert noted.seen == [number, signal.SIGTERM]


def test_the_second_signal_that_insists_is_told():
    with Noted() as noted:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert noted.seen == [signal.SIGTERM, signal.SIGINT]


@posix_only
def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Noted() as noted:
            os.kill(os.getpid(), signal.SIGHUP)
        assert noted.seen == []
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def failing():
    with Noted():
        assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN)
        raise ValueError("inside")


def test_after_the_block_signals_do_what_they_did():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="inside"):
        failing()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
