"""How the program is found and called."""

from __future__ import annotations

import pytest
from forgecheck import ForgecheckError, program

OF_A_WHEEL = program.OF_THE_WHEEL.is_file()


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No program anywhere."""
    monkeypatch.delenv(program.VARIABLE, raising=False)
    monkeypatch.setattr(program, "OF_THE_WHEEL", tmp_path / "bin/forgecheck")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))


def script(path, text="exit 0"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_variable_goes_before_the_wheel_and_the_wheel_before_the_path(nowhere, monkeypatch, tmp_path):
    on_path = script(tmp_path / "path/forgecheck")
    assert program.find_program() == str(on_path)
    of_the_wheel = script(tmp_path / "bin/forgecheck")
    assert program.find_program() == str(of_the_wheel)
    named = script(tmp_path / "named")
    monkeypatch.setenv(program.VARIABLE, str(named))
    assert program.find_program() == str(named)


def test_without_a_program_the_error_says_what_to_do(nowhere):
    with pytest.raises(ForgecheckError, match="set FORGECHECK_PROGRAM, install a wheel"):
        program.find_program()


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_variable_that_names_no_program_is_refused_with_its_value(nowhere, monkeypatch, tmp_path, name):
    monkeypatch.setenv(program.VARIABLE, str(tmp_path / name))
    with pytest.raises(ForgecheckError, match=f"FORGECHECK_PROGRAM = {tmp_path}.*: is not a program"):
        program.find_program()


def test_a_refusal_is_an_error_with_the_programs_words(nowhere, monkeypatch, tmp_path):
    refusing = script(tmp_path / "refusing", "echo 'forgecheck: model.dim = 0: must be positive' >&2; exit 2")
    monkeypatch.setenv(program.VARIABLE, str(refusing))
    with pytest.raises(ForgecheckError, match=r"^model\.dim = 0: must be positive$"):
        program.run_program("taps")


def test_a_program_that_is_killed_is_an_error(nowhere, monkeypatch, tmp_path):
    monkeypatch.setenv(program.VARIABLE, str(script(tmp_path / "killed", "kill -9 $$")))
    with pytest.raises(ForgecheckError, match="ended with status -9"):
        program.run_program("taps")


def test_a_mismatch_is_not_an_error(nowhere, monkeypatch, tmp_path):
    monkeypatch.setenv(program.VARIABLE, str(script(tmp_path / "one", "exit 1")))
    assert program.run_program("verify").returncode == 1


def test_reports_are_not_printed_for_github(nowhere, monkeypatch, tmp_path):
    monkeypatch.setenv(program.VARIABLE, str(script(tmp_path / "shows", 'echo "[$GITHUB_ACTIONS]"')))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert program.run_program().stdout == "[]\n"


def test_the_command_of_an_installation_without_a_program_says_so(nowhere):
    with pytest.raises(SystemExit, match="carries no program"):
        program.main()


@pytest.mark.skipif(not OF_A_WHEEL, reason="forgecheck is not installed from a wheel")
def test_a_wheel_carries_the_goldens_and_the_header_of_plugins(monkeypatch, tmp_path):
    monkeypatch.delenv(program.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    assert program.run_program("golden", "check").stdout == "every file is as the manifest says\n"
    assert ": 4 match" in program.run_program("verify", "--filter", "dense/mha", "--backend", "cpu:onednn").stdout
    assert (program.OF_THE_WHEEL.parents[1] / "include/forgecheck/forgecheck_plugin.h").is_file()
