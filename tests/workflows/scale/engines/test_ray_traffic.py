"""Nothing about a run leaves the machine while Ray computes: the run has a network of its own, whose only way out is watched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from twofold.cli import main

pytest.importorskip("ray", reason="the extra `ray` is not installed")

# The default route is a device of this program, which gets each packet, whatever process sent it.
WATCH = """
import fcntl, os, socket, struct, subprocess, sys
from contextlib import suppress

out = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(out, 0x400454CA, struct.pack("16sH", b"out", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
with open("/proc/sys/net/ipv6/conf/out/disable_ipv6", "w") as file:
    file.write("1")
for command in ("link set lo up", "address add 198.18.0.1/24 dev out", "link set out up", "route add default dev out"):
    subprocess.run(["ip", *command.split()], check=True)

def packets():
    with suppress(BlockingIOError):
        while packet := os.read(out, 2000):
            yield socket.inet_ntoa(packet[16:20]), packet[4 * (packet[0] & 15) :]

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.sendto(b"seen", ("203.0.113.1", 9))
assert [(to, data[8:]) for to, data in packets()] == [("203.0.113.1", b"seen")]
print("watching")
if sys.argv[1:]:
    from twofold.cli import main
    assert main(sys.argv[1:]) == 0
for to, data in packets():
    print("packet", to, int.from_bytes(data[2:4], "big"), ascii(data[8:]))
"""
# Before Ray looks whether its reports are turned off, it asks whether this is a machine of Azure, Google or Amazon. These are
# the addresses that their machines answer at, themselves.
CLOUD_ADDRESS, CLOUD_NAME = "packet 169.254.169.254 80 ", r"\x08metadata\x06google\x08internal\x00"


def watched(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = ["unshare", "--map-root-user", "--net", sys.executable, "-c", WATCH, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("unshare") and shutil.which("ip")), reason="unshare or ip is not there")
def test_nothing_is_sent_while_ray_computes(bundle: Path, drawn: Path, tmp_path: Path) -> None:
    if (fault := watched()).returncode:
        pytest.skip(f"there can be no network of its own: {fault.stderr[-200:]}")
    arguments = ["predict", str(bundle), str(drawn), "--no-cache", "--engine"]
    # In a folder of its own Ray sees no cluster of another test. The names of its sockets must be short.
    with TemporaryDirectory() as folder:
        environment = {"RAY_TMPDIR": folder, "HOME": str(tmp_path), "RES_OPTIONS": "timeout:1 attempts:1"}
        done = watched(*arguments, "ray", "--out", str(tmp_path / "ray"), **environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "watching"
    packets = [line for line in lines if line.startswith("packet")]
    assert [line for line in packets if CLOUD_NAME not in line and not line.startswith(CLOUD_ADDRESS)] == []
    assert main([*arguments, "local", "--out", str(tmp_path / "local")]) == 0
    parts = [
        {file.name: file.read_bytes() for file in (tmp_path / out / "parts").iterdir()} for out in ("ray", "local")
    ]
    assert parts[0] == parts[1]
