"""Which backend, graph and precision run a bundle here, and why."""

from __future__ import annotations

import logging
from collections.abc import Set
from importlib.util import find_spec
from typing import get_args

from ..bundle import Bundle, Graph, Precision
from ..config import BackendName, EngineConfig
from ..cores import has_fast_int8
from ..errors import EngineError
from .backend import Backend, MapsBackend

logger = logging.getLogger(__name__)

FASTEST_FIRST: tuple[Precision, ...] = ("int8", "bf16", "fp16", "fp32")


def open_backend(bundle: Bundle, config: EngineConfig | None = None) -> Backend:
    """As `config` says; what it leaves to us (`auto`) is chosen for this processor, and logged with the reason.

    EngineError if it cannot be had as told, or nothing in the bundle can be run here; it names what there is.
    """
    config = config or EngineConfig()
    backend = _pick_backend(config)
    graph = _pick_graph(bundle, config)
    device, able = processor(backend)
    precision, why = _pick_precision(bundle, config, backend, graph, able)
    opened: Backend
    if backend == "openvino":
        from .backend_openvino import OpenVinoBackend

        opened = OpenVinoBackend(bundle, graph, precision)
    else:
        from .backend_onnxruntime import OnnxRuntimeBackend

        opened = OnnxRuntimeBackend(bundle, graph, precision)
    logger.info("%s: %s graph in %s (%s), run by %s on %s", bundle.name, graph, precision, why, backend, device)
    return opened


def open_maps(bundle: Bundle, beside: str) -> MapsBackend:
    """What runs the bundle's maps graph: of the same make as the backend of that name, where there is one."""
    if (beside if beside in get_args(BackendName) else _pick_backend(EngineConfig())) == "onnxruntime":
        from .backend_onnxruntime import OnnxRuntimeMaps

        return OnnxRuntimeMaps(bundle)
    from .backend_openvino import OpenVinoMaps

    return OpenVinoMaps(bundle)


def _pick_backend(config: EngineConfig) -> str:
    if config.backend != "auto":
        return config.backend
    return "openvino" if find_spec("openvino") else "onnxruntime"


def _pick_graph(bundle: Bundle, config: EngineConfig) -> Graph:
    there = bundle.manifest.graphs
    if config.graph == "auto":
        calibrated = {calibration.graph for calibration in bundle.manifest.calibrations}
        return "step" if "step" in (calibrated or there) else "window"
    if config.graph not in there:
        raise EngineError(
            config.backend, f"{bundle.name} has no {config.graph} graph (engine.graph); there is {', '.join(there)}"
        )
    return config.graph


def processor(backend: str) -> tuple[str, frozenset[Precision]]:
    """Its name, and the precisions that it is made for with this backend."""
    if backend == "openvino":
        from .backend_openvino import fast_precisions

        return fast_precisions()
    return "the CPU", frozenset({"fp32", "int8"} if has_fast_int8() else {"fp32"})


def _pick_precision(
    bundle: Bundle, config: EngineConfig, backend: str, graph: Graph, able: Set[Precision]
) -> tuple[Precision, str]:
    """The precision, and why in some words."""
    there = [precision for precision in FASTEST_FIRST if precision in bundle.manifest.graphs[graph]]
    if config.precision != "auto":
        return _told(bundle, config.precision, backend, graph, there, able), "as told"
    here = [precision for precision in there if precision in able]
    if not here:
        raise EngineError(
            backend,
            f"nothing to run: the {graph} graph of {bundle.name} comes in {', '.join(there)}, "
            f"and here only {_listed(able)} can be used",
        )
    calibrated = [precision for precision in there if bundle.calibration(graph, precision) is not None]
    for precision in here:
        if precision in calibrated:
            return precision, f"the fastest of the calibrated ones ({', '.join(calibrated)}) that this processor is for"
    if calibrated:
        logger.warning(
            "%s: the %s graph is calibrated in %s only, which this processor is not made for: there will be no p_fake",
            bundle.name,
            graph,
            ", ".join(calibrated),
        )
        return here[-1], f"the most exact, since nothing calibrated can be used; there is {', '.join(there)}"
    return here[0], f"the fastest of {', '.join(there)} that this processor is made for; none is calibrated"


def _told(
    bundle: Bundle, precision: Precision, backend: str, graph: Graph, there: list[Precision], able: Set[Precision]
) -> Precision:
    if precision not in there:
        raise EngineError(
            backend,
            f"{bundle.name} has no {precision} for its {graph} graph (engine.precision); there is {', '.join(there)}",
        )
    # int8 is right everywhere, only not fast; bf16 and fp16 would quietly be something else.
    if precision not in able and precision != "int8":
        raise EngineError(
            backend, f"{precision} cannot be had with it on this processor (engine.precision); there is {_listed(able)}"
        )
    return precision


def _listed(precisions: Set[Precision]) -> str:
    return ", ".join(sorted(precisions))
