"""Laws of the one training loop: order, rates, micro-batches, and above all resuming."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from tests.project import SOURCE, write_corpus, write_tiny_bert
from transferline.core.errors import InputError
from transferline.core.leaving import Leaving, leave, stay
from transferline.core.runtime import Runtime
from transferline.data.prepared_files import write_jsonl
from transferline.training.gradients import accumulate
from transferline.training.learner import Learner, Schedule
from transferline.training.loop import train
from transferline.training.saved_state import Saved, load_best, newest, save, save_best
from transferline.training.sharding import _split_group


class Line(Learner):
    """Fit y = 2 x by one weight, with dropout so that generators matter."""

    def __init__(self, rows: int = 40) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
        self.x = torch.randn(rows, 4, generator=torch.Generator().manual_seed(1))
        self.lengths = [1 + i % 7 for i in range(rows)]
        self.validations = 0

    def groups(self, rate: float) -> list[dict]:
        return [{"params": list(self.model.parameters()), "lr": rate}]

    def before_step(self, step: int, steps: int) -> None:
        pass

    def collate(self, indices, epoch: int) -> dict[str, torch.Tensor]:
        return {"x": self.x[list(indices)]}

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return (self.model(batch["x"])[:, 0] - 2 * batch["x"].sum(dim=1)).pow(2).mean()

    def validate(self) -> dict[str, float]:
        self.validations += 1
        with torch.no_grad():
            return {"score": -float(self.loss({"x": self.x}))}


CPU = Runtime(device="cpu", precision="fp32")


def fit(learner: Line, state: Path, stop_at: int | None = None, runtime: Runtime = CPU, patience: int | None = None):
    def report(progress) -> None:
        if stop_at is not None and progress.done >= stop_at:
            raise KeyboardInterrupt

    return train(
        learner,
        Schedule(batch_size=8, learning_rate=0.05),
        40,
        seed=0,
        runtime=runtime,
        state=state,
        report=report,
        patience=patience,
    )


def weights(learner: Line) -> torch.Tensor:
    return torch.cat([p.detach().ravel() for p in learner.model.parameters()])


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_a_run_that_diverges_stops_at_its_step(figure: float, tmp_path: Path) -> None:
    class Diverging(Line):
        def loss(self, batch):
            self.count = getattr(self, "count", 0) + 1
            return super().loss(batch) * (figure if self.count == 5 else 1.0)

    learner = Diverging()
    with pytest.raises(InputError, match=r"train, step 5: the loss is (nan|inf).* learning rate of 0\.0.*a tenth"):
        fit(learner, tmp_path)
    assert learner.count == 5


def test_vectors_do_not_decay_and_matrices_do() -> None:
    """The optimiser's groups of a model with a matrix, a bias and a normalisation."""
    layer = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.LayerNorm(3))
    groups = [*_split_group({"params": [*layer.parameters()], "lr": 0.1})]
    assert [group.get("weight_decay") for group in groups] == [None, 0.0]
    assert [p.dim() for p in groups[0]["params"]] == [2]
    assert [p.dim() for p in groups[1]["params"]] == [1, 1, 1]


def test_running_means_are_part_of_what_is_saved(tmp_path: Path) -> None:
    """A batch norm's buffers belong to the best weights, and to a state that is resumed."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(20, 3))
    wanted = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_best(tmp_path, 1, model)
    order = list(model.parameters())
    save(tmp_path, model, optimizer, Saved(1, {"best_step": 1}), order)
    for load in (lambda: load_best(tmp_path, 1, model), lambda: newest(tmp_path, model, optimizer, order)):
        model(torch.randn(20, 3) + 5)
        assert not torch.equal(model.state_dict()["1.running_mean"], wanted["1.running_mean"])
        load()
        assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in wanted.items())


def test_the_rate_rises_then_falls_to_zero() -> None:
    factors = [Schedule(warmup=0.25).factor(step, 20) for step in range(20)]
    assert factors[4] == max(factors) == 1.0
    assert factors[:5] == sorted(factors[:5])
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert 0 < factors[-1] < 0.1


def test_it_learns(tmp_path: Path) -> None:
    learner = Line()
    before = -learner.validate()["score"]
    fit(learner, tmp_path)
    assert -learner.validate()["score"] < before / 2


class OneOf:
    """What `accumulate` needs of an accelerator, as one of several processes that exchange nothing."""

    def __init__(self, index: int, count: int) -> None:
        self.process_index, self.num_processes, self.device = index, count, torch.device("cpu")
        self.backwards = 0

    def autocast(self) -> nullcontext:
        return nullcontext()

    def backward(self, loss: torch.Tensor) -> None:
        self.backwards += 1
        loss.backward()

    def reduce(self, tensor: torch.Tensor, _: str) -> torch.Tensor:
        return tensor


@pytest.mark.parametrize(("batch", "micro"), [(1, None), (3, None), (5, 1), (8, 3)])
def test_shares_of_a_batch_add_up_to_it_and_all_processes_go_as_often_through_the_model(batch: int, micro) -> None:
    def gradients(index: int, count: int) -> tuple[torch.Tensor, OneOf]:
        learner, one = Line(), OneOf(index, count)
        learner.model[1].p = 0.0
        accumulate(one, learner, list(range(batch)), 0, micro)
        return torch.cat([p.grad.flatten() for p in learner.model.parameters()]), one

    whole, _ = gradients(0, 1)
    shares = [gradients(index, 4) for index in range(4)]
    assert torch.allclose(sum(share for share, _ in shares), whole, atol=1e-5)
    assert len({one.backwards for _, one in shares}) == 1


def test_micro_batches_change_memory_not_the_result(tmp_path: Path) -> None:
    whole, parts = Line(), Line()
    for learner in (whole, parts):
        learner.model[1].p = 0.0  # dropout draws per row, and rows come in other pieces
    fit(whole, tmp_path / "a")
    fit(parts, tmp_path / "b", runtime=CPU.model_copy(update={"micro_batch": 3}))
    torch.testing.assert_close(weights(whole), weights(parts), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("patience", [None, 100])
@pytest.mark.parametrize("stop_at", [1, 13, 39])
def test_a_run_stopped_anywhere_and_resumed_equals_one_that_never_stopped(
    tmp_path: Path, stop_at: int, patience
) -> None:
    eager = CPU.model_copy(update={"save_every": 0.0})
    whole = Line()
    untouched = fit(whole, tmp_path / "whole", runtime=eager, patience=patience)
    with pytest.raises(KeyboardInterrupt):
        fit(Line(), tmp_path / "cut", stop_at=stop_at, runtime=eager, patience=patience)
    resumed = Line()
    history = fit(resumed, tmp_path / "cut", runtime=eager, patience=patience)
    assert torch.equal(weights(resumed), weights(whole))
    assert (history.best_score, history.best_step) == (untouched.best_score, untouched.best_step)
    if stop_at > 10:
        assert list((tmp_path / "cut").glob("at-*"))


@pytest.mark.parametrize("told_at", [1, 13, 38])
def test_a_training_that_is_told_to_end_saves_after_its_step_and_goes_on_there(tmp_path: Path, told_at: int) -> None:
    never = CPU.model_copy(update={"save_every": 10**9})
    whole, cut = Line(), Line()
    fit(whole, tmp_path / "whole", runtime=never)
    step, done = cut.after_step, list[float]()

    def told(rate: float) -> None:
        step(rate)
        done.append(rate)
        if len(done) == told_at:
            leave()

    cut.after_step = told  # type: ignore[method-assign]
    try:
        with pytest.raises(Leaving, match=f"is saved at step {told_at} of"):
            fit(cut, tmp_path / "cut", runtime=never)
    finally:
        stay()
    assert [path.name for path in (tmp_path / "cut").glob("at-*")] == [f"at-{told_at:08d}"]
    resumed = Line()
    fit(resumed, tmp_path / "cut", runtime=never)
    assert torch.equal(weights(resumed), weights(whole))


def test_patience_stops_when_nothing_improves(tmp_path: Path) -> None:
    learner = Line()
    learner.validate = lambda: {"score": 0.0}  # type: ignore[method-assign]
    history = fit(learner, tmp_path, patience=2)
    assert history.best_step == 5
    assert history.stale == 2


def test_a_torn_state_is_never_read(tmp_path: Path) -> None:
    """What a kill leaves half-written has another name than what is read."""
    (tmp_path / "part-00000012").mkdir(parents=True)
    (tmp_path / "part-00000012" / "weights.safetensors").write_bytes(b"half")
    learner = Line()
    fit(learner, tmp_path)
    reference = Line()
    fit(reference, tmp_path / "other")
    assert torch.equal(weights(learner), weights(reference))


SCRIPT = """
import sys
from pathlib import Path
from transferline.core.checkpoint import digest_of
from transferline.methods.objectives import Masked
from transferline.core.errors import InputError
from transferline.core.runtime import Runtime
from transferline.core.stage import Work
root = Path(sys.argv[1])
out = root / sys.argv[2] / "out"
out.mkdir(parents=True, exist_ok=True)
stage = Masked(block=16, tokens=60_000, schedule={"batch_size": 16, "learning_rate": 1e-3})
runtime = Runtime(device="cpu", precision="fp32", save_every=0.05).resolve()
stage.build(Work({"corpus": root / "corpus.jsonl"}, 0, out, root / sys.argv[2] / "state", runtime, lambda p: None, root / "tiny"))
print(digest_of(out))
"""


def adapt(root: Path, name: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", SCRIPT, str(root), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=root)


def test_sigkill_at_any_moment_and_the_digest_is_the_same(tmp_path: Path) -> None:
    """A real objective in a real process, killed three times over, against one left alone."""
    write_tiny_bert(tmp_path / "tiny")
    write_corpus(tmp_path / "corpus.txt", 300)
    texts = (tmp_path / "corpus.txt").read_text().splitlines()
    write_jsonl(tmp_path / "corpus.jsonl", ({"text": text} for text in texts))
    alone = adapt(tmp_path, "alone").communicate()[0].strip()
    killed = 0
    for after in (0.15, 0.4, 0.8):
        process = adapt(tmp_path, "killed")
        state = tmp_path / "killed" / "state"
        before = set(state.glob("at-*"))
        deadline = time.monotonic() + 120
        while process.poll() is None and set(state.glob("at-*")) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(after)  # it is training now: some way into it, the end
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.communicate()
    assert killed
    assert list((tmp_path / "killed" / "state").glob("at-*"))
    assert adapt(tmp_path, "killed").communicate()[0].strip() == alone != ""
