# SPDX-License-Identifier: Apache-2.0
"""Where models answer: in this process, in several of this machine, or on the workers of a Dask cluster.

Every engine gives the same answers: a worker runs each network on one thread, and images do not know of one another.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from pose_ros.errors import ConfigError, PoseRosError
from pose_ros.evaluation.estimates import Estimates
from pose_ros.evaluation.job import Job, Shard
from pose_ros.evaluation.predict import answers

ENGINES = ("processes", "dask")
Done = Iterator[tuple[Shard, Estimates]]


def each(job: Job, shards: Sequence[Shard], jobs: int = 1, engine: str = "processes", scheduler: str = "") -> Done:
    """Yield what a model says about each shard, in whatever order they are done.

    Args:
        job: What to do.
        shards: Groups of images.
        jobs: Workers on this machine.
        engine: ``processes`` or ``dask``.
        scheduler: Address of a Dask cluster that is running already; one of ``jobs`` workers is started when left out.

    Raises:
        ConfigError: There is no such engine, or it is not installed.
        PoseRosError: The model or the data cannot be read, or a worker was ended.
    """
    if jobs < 1:
        raise ConfigError("--jobs", f"expected a number from 1 on, got {jobs}")
    if engine not in ENGINES:
        raise ConfigError("--engine", f"expected one of {', '.join(ENGINES)}; got '{engine}'")
    if scheduler and engine != "dask":
        raise ConfigError("--scheduler", "expected --engine dask with it")
    if engine == "dask":
        yield from _dask(job, shards, jobs, scheduler)
    elif jobs == 1 or len(shards) < 2:
        yield from ((shard, answers(job, shard)) for shard in shards)
    else:
        yield from _processes(job, shards, jobs)


def _processes(job: Job, shards: Sequence[Shard], jobs: int) -> Done:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    # Spawned, not forked: runtimes of networks do not survive a fork.
    pool = ProcessPoolExecutor(min(jobs, len(shards)), get_context("spawn"), initializer=_end_with_parent)
    try:
        futures = {pool.submit(answers, job, shard): shard for shard in shards}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise PoseRosError("a process that ran the model was ended from outside, most likely because memory ran out; "
                           "take fewer --jobs, and --resume where answers are kept") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Leave no worker behind when the process that started it is killed."""
    from multiprocessing import parent_process

    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _dask(job: Job, shards: Sequence[Shard], jobs: int, scheduler: str) -> Done:
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError as error:
        raise ConfigError("--engine", "dask needs the package distributed: pip install 'pose_ros[cluster]'") from error
    with ExitStack() as stack:
        try:
            cluster = scheduler or stack.enter_context(
                LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"))
            client = stack.enter_context(Client(cluster, timeout=10))
        except OSError as error:
            raise ConfigError("--scheduler", f"expected the address of a running Dask scheduler, nothing answers at "
                                             f"'{scheduler}': {error}") from error
        # Never the same key twice: answers that a cluster still holds may be of files that have changed since.
        futures = {client.submit(answers, job, shard, pure=False): shard for shard in shards}
        for future in as_completed(list(futures)):
            yield futures.pop(future), future.result()
            future.release()
