"""The record of a release."""

from __future__ import annotations

import dataclasses

import pytest

from driverref.release import OTP_25


def test_a_release_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        OTP_25.max_async_threads = 1  # type: ignore[misc]


def test_another_release_is_a_copy_with_other_values() -> None:
    other = dataclasses.replace(OTP_25, name="24", ready_async_batch=1)
    assert other != OTP_25
    assert other.max_async_threads == OTP_25.max_async_threads


def test_limits_are_in_order() -> None:
    r = OTP_25
    assert r.min_async_threads <= r.default_async_threads <= r.max_async_threads
    assert r.busy_msgq_limits is not None
    assert r.busy_msgq_limits[0] < r.busy_msgq_limits[1]
    assert r.ready_async_batch is not None
    assert r.ready_async_batch > 0
