"""Why a link does not open or was lost, in words for people, with what to do."""

from __future__ import annotations

import errno
import grp
import os
import stat

from meterline.link import processes

CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
"""What Docker and Podman put into every container."""


def not_opened(path: str, error: Exception) -> str:
    """Why a device does not open, and what to do."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return "no such device; is the adapter plugged in? Stable names are in /dev/serial/by-id/"
    if number in (errno.EACCES, errno.EPERM):
        return _permission(path)
    if number in (errno.EBUSY, errno.EAGAIN):
        holder = processes.of_device(path)
        return f"in use by {holder}; stop it first" if holder else "in use by another program; stop it first"
    if number in (errno.ENOTTY, errno.EISDIR, errno.EINVAL):
        return f"not a serial device; a capture is read as file:{path}"
    return getattr(error, "strerror", None) or str(error)


def _permission(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:
        return "permission denied"
    if not status.st_mode & stat.S_IRGRP:
        return "permission denied, and its group may not read it either; check its udev rule"
    if any(map(os.path.exists, CONTAINER_MARKS)):
        group = status.st_gid
        return f"permission denied; the device belongs to group {group}: start the container with --group-add {group}"
    return (
        f"permission denied; the device belongs to group {group_name(status.st_gid)!r}: "
        f"sudo usermod -aG {group_name(status.st_gid)} $USER, then log in again"
    )


def group_name(gid: int) -> str:
    """The group's name, or its number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def lost(error: Exception | None) -> str:
    """Why an open link is gone."""
    number = getattr(error, "errno", None)
    if number in (errno.EIO, errno.ENXIO, errno.ENODEV):
        return "the device was unplugged"
    if error is None:
        return "the other side closed the connection"
    return getattr(error, "strerror", None) or str(error)
