"""Signals that are only told, and handlers that are put back."""

import os
import signal

import pytest

from ftcls.environment.signals import Caught


class Noted(Caught):
    def __init__(self):
        super().__init__()
        self.seen = []

    def received(self, caught):
        self.seen.append(caught)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_within_the_block_a_signal_is_only_told(number):
    with Noted() as noted:
        os.kill(os.getpid(), number)
    assert noted.seen == [number]


def failing():
    with Noted():
        assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN)
        raise ValueError("inside")


def test_after_the_block_signals_do_what_they_did():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="inside"):
        failing()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
