"""Run stages on a Ray cluster through prefect-ray, with `num_gpus` for each stage.

Ray runs every GPU task in its own process with CUDA_VISIBLE_DEVICES set. If the process dies, Ray starts the task again on
another worker. Requires `pip install transferline[ray]` and a Prefect server that the nodes can reach.
"""

from __future__ import annotations

from typing import Any

from transferline.core.errors import InputError
from transferline.core.project import root, shared_uri, store
from transferline.core.settings import passed_on, settings


def open_ray(gpus: float, insist: bool) -> Any:
    """A RayTaskRunner on the cluster of TRANSFERLINE_RAY_ADDRESS, or on a new one on this machine.

    With `insist` (device cuda) a cluster without GPUs is refused, otherwise its CPUs are used. Raises InputError if Ray is
    not installed, no Prefect server is configured, or a stage requests more GPUs than the cluster has.
    """
    try:
        import ray
        from prefect_ray import RayTaskRunner
    except ImportError as error:
        raise InputError("placement ray", "Ray is not installed", "pip install 'transferline[ray]'") from error
    declared = settings()
    if not declared.prefect_api_url:
        mend = "Start one (`transferline serve`) and set PREFECT_API_URL"
        raise InputError("placement ray", "its workers need a Prefect server of their own", mend)
    address = declared.ray_address
    passed = passed_on(root=root(), placement="ray", store=shared_uri() or store())
    options: dict[str, Any] = {"runtime_env": {"env_vars": passed}, "log_to_driver": True}
    if not address:
        slots = declared.gpu_slots or ""
        options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        if slots.isdecimal():
            options["num_gpus"] = int(slots)
    if not ray.is_initialized():
        ray.init(address or None, namespace="prefect", **options)
    available = ray.cluster_resources().get("GPU", 0.0)
    # refuse now: Ray itself would wait for ever for resources that the cluster does not have
    if gpus > available and (insist or available or gpus > 1):
        mend = "Request fewer (TRANSFERLINE_GPUS_PER_STAGE), choose device cpu, or add GPU nodes"
        raise InputError("placement ray", f"a stage requests {gpus:g} GPUs, the cluster has {available:g}", mend)
    return RayTaskRunner(address=address)


def remote(gpu: bool, gpus: float, starts: int) -> Any:
    """Context manager with the Ray options for the submission of one stage."""
    import ray
    from prefect_ray.context import remote_options

    available = ray.cluster_resources().get("GPU", 0.0)
    wanted = gpus if gpu and available else 0
    # Ray restarts the task of a killed worker by itself. Prefect does not see these restarts, so they are limited here.
    return remote_options(num_cpus=0 if wanted else 1, num_gpus=wanted, max_retries=starts - 1)
