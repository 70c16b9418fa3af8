"""Mistakes in what is said of a stack of adapters."""

from mistakes_list import mistakes

HERE = "tests/workbench/test_stack_report.py"

MISTAKES = [
    *mistakes(
        "src/workbench/adapters/ranks.py",
        HERE,
        ("cosines aren't squared", '"K R, K S -> R S").square().sum()', '"K R, K S -> R S").abs().sum()'),
        (
            "the share is of the larger subspace",
            "max(1, min(p.shape[1], q.shape[1]))",
            "max(p.shape[1], q.shape[1])",
        ),
        (
            "directions read are those written",
            "return _shared(a.T, c.T), _shared(b, d)",
            "return _shared(b, d), _shared(b, d)",
        ),
    ),
    *mistakes(
        "src/workbench/stack_report.py",
        HERE,
        (
            "an adapter alone counts whole",
            "loss([own]), loss(parts))",
            "loss([WeightedAdapter(own.adapter)]), loss(parts))",
        ),
        ("the stack is the adapter alone", "loss([own]), loss(parts))", "loss([own]), loss([own]))"),
        (
            "a loss is the mean over records",
            "(found.losses[0] * found.tokens).sum() / found.tokens.sum()",
            "found.losses[0].mean()",
        ),
        (
            "what is lost is in nats",
            "return (self.stack - self.alone) / gained",
            "return self.stack - self.alone",
        ),
        (
            "a task is measured with the first adapter",
            "parts[_place(task, names)]",
            "parts[0 * _place(task, names)]",
        ),
        (
            "chance is that of the smaller rank",
            "max(one.layer_rank(layer), other.layer_rank(layer))",
            "min(one.layer_rank(layer), other.layer_rank(layer))",
        ),
    ),
]
