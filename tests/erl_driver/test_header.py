"""The whole of `erl_driver.h`: what it declares, what the model has of it, and why the rest is absent.

`KEPT` is what the headers of OTP 25, 27 and 29 declare, which are the same in this.  Where a header
and a compiler are installed, it is compared with that header.
"""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import pytest
from header import Header, read
from test_erl_driver import ABSENT, DECLARED, DEFINED, UNDEFINED

from driverref import Driver, erl_driver
from driverref.hosting.tools import CompileError, compiler, header_folder
from driverref.runtime.driver import CALLBACKS

BOOK = Path(__file__).parents[2] / "docs"

FIELDS = {
    "ErlDrvSysInfo": """driver_major_version driver_minor_version erts_version otp_release thread_support
        smp_support async_threads scheduler_threads nif_major_version nif_minor_version
        dirty_scheduler_support""",
    "ErlDrvThreadOpts": "suggested_stack_size",
    "ErlDrvMonitor": "data",
    "SysIOVec": "iov_base iov_len",
    "ErlDrvBinary": "orig_size orig_bytes",
    "ErlDrvNowData": "megasecs secs microsecs",
    "ErlIOVec": "vsize size iov binv",
    "ErlDrvEntry": """init start stop output ready_input ready_output driver_name finish handle control
        timeout outputv ready_async flush call unused_event_callback extended_marker major_version
        minor_version driver_flags handle2 process_exit stop_select emergency_close""",
}
NO_FIELD = {
    "ErlDrvMonitor.data": "it is the emulator's, and no driver may look at it",
    "ErlDrvEntry.handle": "it is the emulator's",
    "ErlDrvEntry.handle2": "it is the emulator's",
    "ErlDrvEntry.unused_event_callback": "no emulator calls it",
}
"""The fields that the model has not, each with the reason."""

TYPES = """
    ErlDirtyJobFlags ErlDrvBinary ErlDrvCond ErlDrvData ErlDrvEntry ErlDrvEvent ErlDrvMonitor ErlDrvMutex
    ErlDrvNowData ErlDrvPDL ErlDrvPort ErlDrvRWLock ErlDrvSInt ErlDrvSInt64 ErlDrvSSizeT ErlDrvSizeT
    ErlDrvSysInfo ErlDrvTSDKey ErlDrvTermData ErlDrvThreadData ErlDrvThreadOpts ErlDrvTid ErlDrvTime
    ErlDrvTimeUnit ErlDrvUInt ErlDrvUInt64 ErlIOVec ErlNapiSInt ErlNapiSInt64 ErlNapiUInt ErlNapiUInt64
    SysIOVec
""".split()
ANYTHING, NUMBER = "any Python object", "an int"
NO_TYPE = {
    "ErlDrvData": ANYTHING,
    "ErlDrvThreadData": ANYTHING,
    "ErlDrvTermData": "a term is a Python value",
    "ErlDrvEntry": "it is `Driver`",
    "ErlDrvEvent": "it is a `Socket`",
    "ErlDirtyJobFlags": "for NIFs",
    **dict.fromkeys("ErlDrvSInt ErlDrvSInt64 ErlDrvUInt ErlDrvUInt64".split(), NUMBER),
    **dict.fromkeys("ErlDrvSSizeT ErlDrvSizeT ErlDrvTime ErlDrvTimeUnit".split(), NUMBER),
    **dict.fromkeys("ErlNapiSInt ErlNapiSInt64 ErlNapiUInt ErlNapiUInt64".split(), NUMBER),
}
"""The types that have no name in the model, with what stands for them."""

TAGS = """
    ERL_DRV_NIL ERL_DRV_ATOM ERL_DRV_INT ERL_DRV_PORT ERL_DRV_BINARY ERL_DRV_STRING ERL_DRV_TUPLE ERL_DRV_LIST
    ERL_DRV_STRING_CONS ERL_DRV_PID ERL_DRV_FLOAT ERL_DRV_EXT2TERM ERL_DRV_UINT ERL_DRV_BUF2BINARY
    ERL_DRV_INT64 ERL_DRV_UINT64 ERL_DRV_MAP
""".split()
"""The tags of terms, which the model has not: a term to send is a Python value."""
OF_NIFS = """
    ERL_DIRTY_JOB_CPU_BOUND ERL_DIRTY_JOB_IO_BOUND ERL_NIF_SELECT_READ ERL_NIF_SELECT_WRITE
    ERL_NIF_SELECT_STOP ERL_NIF_SELECT_CANCEL ERL_NIF_SELECT_CUSTOM_MSG ERL_NIF_SELECT_ERROR
""".split()
"""What `erl_drv_nif.h` declares for NIFs."""


def here(name: str) -> set[str]:
    """The fields that the model's type has."""
    if name == "ErlDrvEntry":
        return {*CALLBACKS, *inspect.get_annotations(Driver)}
    kind = getattr(erl_driver, name)
    named = (
        {field.name for field in dataclasses.fields(kind)}
        if dataclasses.is_dataclass(kind)
        else set()
    )
    members = set(dir(kind)) | set(getattr(kind, "__slots__", ()))
    return named | members | set(inspect.signature(kind).parameters)


@pytest.mark.rule("header.names")
@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_here_or_absent_for_a_reason(name: str) -> None:
    fields = {f"{name}.{field}" for field in FIELDS[name].split()}
    missing = {field for field in fields if field.partition(".")[2] not in here(name)}
    assert missing == fields & NO_FIELD.keys()


@pytest.mark.rule("header.names")
def test_every_type_is_here_or_absent_for_a_reason() -> None:
    missing = {name for name in TYPES if not isinstance(getattr(erl_driver, name, None), type)}
    assert missing == NO_TYPE.keys()


@pytest.fixture(scope="module")
def installed() -> Header:
    try:
        return read(compiler(None, False), header_folder())
    except CompileError as missing:
        pytest.skip(str(missing))


@pytest.mark.slow
@pytest.mark.rule("header.names")
def test_the_kept_lists_are_those_of_the_installed_header(installed: Header) -> None:
    assert installed.functions.keys() == set(DECLARED)
    assert installed.fields.keys() - {"ErlDrvMonitor"} == FIELDS.keys() - {"ErlDrvMonitor"}
    for name, fields in FIELDS.items():
        if name != "ErlDrvMonitor":  # its one field is an array of the size of a reference
            assert installed.fields[name] == fields.split()
    assert installed.types == set(TYPES)
    numbers = DEFINED
    found = {
        name: value & (2**64 - 1) if numbers.get(name, 0) > 2**63 else value
        for name, value in installed.numbers.items()
        if name not in {*TAGS, *OF_NIFS}
    }
    assert found == numbers
    assert {*TAGS, *OF_NIFS} <= installed.numbers.keys()


@pytest.mark.slow
@pytest.mark.rule("header.names")
def test_every_function_takes_what_the_installed_header_says(installed: Header) -> None:
    """Python's parameters are C's, but a length that a buffer has with it and what C writes to."""
    for name in set(DECLARED) - set(ABSENT):
        parameters = inspect.signature(getattr(erl_driver, name)).parameters
        assert len(parameters) <= installed.functions[name], name


def test_the_page_names_what_is_absent() -> None:
    page = (BOOK / "questions/header/index.md").read_text("utf-8")
    fields = {name.partition(".")[2] for name in NO_FIELD if name != "ErlDrvMonitor.data"}
    assert not {name for name in {*ABSENT, *UNDEFINED, *fields} if f"`{name}`" not in page}


def test_nothing_is_absent_that_is_here() -> None:
    assert not [name for name in (*ABSENT, *UNDEFINED, *TAGS) if hasattr(erl_driver, name)]
