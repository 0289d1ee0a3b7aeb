"""One way in for every form in which a user names a workload."""

from __future__ import annotations

import os
import re
from pathlib import Path

from toolkit.errors import WorkloadError
from toolkit.workload.files import read_workload
from toolkit.workload.kernel import Workload
from toolkit.workload.library import named_workload, workload_groups, workload_names
from toolkit.workload.spec import parse_spec


def load_workload(text_or_path: str | os.PathLike[str]) -> Workload:
    """Find or build a workload.

    Parameters
    ----------
    text_or_path : str or path-like
        A name that `workload_names` lists, a specification such as ``gemm:M=4,K=2,N=3``, or a
        YAML file (a path object, text ending in .yaml or .yml, or an existing file). The file may
        be of our own form, or hold a problem of Timeloop or layers of ZigZag; as text it may go
        on with the name of one layer, such as ``resnet18.yaml:Layer2``.

    Raises
    ------
    WorkloadError
        If it is none of these or cannot be used.

    Examples
    --------
    >>> load_workload("gemm:M=4,K=2,N=3").macs
    24
    """
    if not isinstance(text_or_path, str):
        return read_workload(text_or_path)
    text = text_or_path.strip()
    if Path(text).suffix.lower() in (".yaml", ".yml"):
        return read_workload(text)
    place, colon, layer = _split_layer(text)
    if colon:
        return read_workload(place, layer)
    if ":" in text:
        return parse_spec(text)
    if text not in workload_names() and _is_file(text):
        return read_workload(text)
    try:
        return named_workload(text)
    except WorkloadError as cause:
        if text.partition("/")[0] in workload_groups():
            raise
        raise WorkloadError(
            f"{cause}; also accepted: sizes such as gemm:M=4,K=2,N=3, or a YAML file"
        ) from None


def _split_layer(text: str) -> tuple[str, str, str]:
    """Take the name of a layer off a YAML file; names may hold colons, too."""
    match = re.match(r"(?i)(.*?\.ya?ml):(.*)", text)
    return (match[1], ":", match[2]) if match else (text, "", "")


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False
