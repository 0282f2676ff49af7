"""Ray through prefect-ray: stages fan out over a cluster, `num_gpus` each.

Ray gives every GPU task a process of its own with CUDA_VISIBLE_DEVICES set, and starts it again on another worker where
its process died. It needs `pip install transferline[ray]` and a Prefect server that its nodes can reach.
"""

from __future__ import annotations

from typing import Any

from transferline.core.errors import InputError
from transferline.core.project import root, shared_uri, store
from transferline.core.settings import passed_on, settings


def open_ray(gpus: float, insist: bool) -> Any:
    """A RayTaskRunner on the declared cluster, or on one of this machine's own; GPUs are counted before work is sent.

    `insist`: a GPU was asked for by name; else a cluster that has none computes on its CPUs.
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
    there = ray.cluster_resources().get("GPU", 0.0)
    if gpus > there and (insist or there or gpus > 1):
        mend = "Ask for less (TRANSFERLINE_GPUS_PER_STAGE), choose device cpu, or add GPU nodes"
        raise InputError("placement ray", f"a stage asks for {gpus:g} GPUs, the cluster has {there:g}", mend)
    return RayTaskRunner(address=address)


def remote(gpu: bool, gpus: float, starts: int) -> Any:
    """The Ray options of one stage, as a context for its submission."""
    import ray
    from prefect_ray.context import remote_options

    there = ray.cluster_resources().get("GPU", 0.0)
    wanted = gpus if gpu and there else 0
    # Ray's own restarts of a killed worker: Prefect does not see them, so they are counted here
    return remote_options(num_cpus=0 if wanted else 1, num_gpus=wanted, max_retries=starts - 1)
