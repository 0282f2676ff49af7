"""Laws of gradual unfreezing."""

from __future__ import annotations

from pathlib import Path

from tests.methods.parameter.laws import method, setting


def test_layers_thaw_from_the_top_and_all_in_the_end(kinds, tiny: Path, tmp_path: Path) -> None:
    _, _, _, learner, _ = setting(kinds, tiny, tmp_path, method("gradual", epochs=4))

    def learning() -> list[bool]:
        return [all(p.requires_grad for p in group) for group in learner.depths]

    seen = []
    for step in (0, 10, 20, 30):
        learner.before_step(step, 40)
        seen.append(learning())
    assert seen == [[False] * 3, [False, False, True], [False, True, True], [True] * 3]
    learner.before_step(0, 40)
    assert learning() == [False] * 3  # depends on its arguments alone
