# SPDX-License-Identifier: MIT
"""The data files: kernels, topologies, suites.  A key that nobody reads is an error."""

import dataclasses
import pathlib
import shlex
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent


class ConfigError(Exception):
    """A data file is wrong; the message names the file and the key."""


@dataclasses.dataclass(frozen=True)
class Kernel:
    name: str
    about: str
    fetch: list
    module: list
    patience: float = 1
    append: str = ""
    default: bool = True
    like: str = ""      # it runs the suites that are for this kernel only, too
    arch: str = "amd64"     # Debian's name
    suites: list = dataclasses.field(default_factory=list)     # default: all
    plain: list = dataclasses.field(default_factory=list)      # patterns: of a run that names nothing, these; default: all


@dataclasses.dataclass(frozen=True)
class Topology:
    name: str
    about: str
    qemu: list
    roles: dict


@dataclasses.dataclass(frozen=True)
class Test:
    """One program of a suite."""
    run: list            # program and arguments; the program is in build/guest
    timeout: float = 30
    name: str = ""       # default: the program's name and arguments

    def title(self):
        return self.name or " ".join(self.run)


@dataclasses.dataclass(frozen=True)
class Build:
    """A build of the driver or of a test module."""
    source: str = "module"
    variant: str = ""
    vars: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Suite:
    """One boot of one machine."""
    name: str
    about: str
    topology: str
    tests: list
    modules: list = dataclasses.field(default_factory=list)    # loaded, in order: "name [parameters]"
    available: list = dataclasses.field(default_factory=list)  # for h_modprobe
    append: str = ""                                           # kernel command line
    qemu: str = ""                                             # more of QEMU's command line
    files: dict = dataclasses.field(default_factory=dict)      # guest path = host path, a folder too; programs bring their libraries
    environment: list = dataclasses.field(default_factory=list)  # variables of the runner's that the programs get
    driver: Build = Build()
    build: list = dataclasses.field(default_factory=list)      # more modules of our own
    prepare: list = dataclasses.field(default_factory=list)    # a command that makes files of it, when the programs are built
    kernels: list = dataclasses.field(default_factory=list)    # default: all
    boot_timeout: float = 60                                   # besides the tests' own
    default: bool = True                                       # false: only when named, or by a pattern
    root: bool = False                                         # a Debian system on a disk; the tests are tests/packages/NAME


def _read(path):
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as err:
        raise ConfigError(f"{path}: {err}") from err


def _make(cls, where, table, **given):
    """A cls from a table; unknown and missing keys are named."""
    names = {f.name for f in dataclasses.fields(cls)}
    unknown = set(table) - names
    if unknown:
        raise ConfigError(f"{where}: unknown key {', '.join(sorted(unknown))}; "
                          f"known: {', '.join(sorted(names - set(given)))}")
    try:
        return cls(**given, **table)
    except TypeError as err:
        raise ConfigError(f"{where}: {err}") from err


def kernels(path=HERE / "kernels.toml"):
    return {name: _make(Kernel, f"{path}: [{name}]", table, name=name)
            for name, table in _read(path).items()}


def _part(parts, name, arch):
    """Where the machine differs, a part has a twin for that architecture."""
    return parts.get(f"{name}-{arch}", parts.get(name))


def topologies(path=HERE / "topologies.toml", arch="amd64"):
    data = _read(path)
    found = {}
    for name, table in data["topology"].items():
        qemu, roles = [], {}
        for part in table["parts"]:
            found_part = _part(data["part"], part, arch)
            if found_part is None:
                raise ConfigError(f"{path}: [topology.{name}]: there is no part '{part}'")
            qemu += shlex.split(found_part.get("qemu", ""))
            roles |= found_part.get("roles", {})
        found[name] = Topology(name, table["about"], qemu, roles)
    return found


def suite(path):
    data = _read(path)
    where = str(path)
    data["tests"] = [_make(Test, f"{where}: tests", t) for t in data.get("tests", [])]
    data["build"] = [_make(Build, f"{where}: build", b) for b in data.get("build", [])]
    data["driver"] = _make(Build, f"{where}: driver", data.get("driver", {}))
    found = _make(Suite, where, data, name=path.stem)
    if not found.tests:
        raise ConfigError(f"{where}: no tests: it could not fail")
    titles = [t.title() for t in found.tests]
    if len(set(titles)) != len(titles):
        raise ConfigError(f"{where}: two tests have the same name")
    return found


def suites(folder=HERE / "suites"):
    return {path.stem: suite(path) for path in sorted(folder.glob("*.toml"))}
