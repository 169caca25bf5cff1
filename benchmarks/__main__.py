"""`python -m benchmarks [CASE ...]`: compares the engine with shap and the bare model.

Contenders take turns within one run, each warm in its own process; cold cases get a fresh process
each turn. Medians and ratios of medians are reported.
"""

import argparse
from dataclasses import replace
from importlib.metadata import version
from statistics import median

import numpy as np

from benchmarks.cases import CASES, Case
from benchmarks.contenders import CONTENDERS, DRAWS_ORDERS_AS_WE_DO
from benchmarks.process import Child, Measurement
from worker.engine.scoring.cpu_count import CPU_COUNT

Results = dict[str, list[Measurement]]


def main() -> None:
    options = _options()
    print(f"{CPU_COUNT} cores; medians of {options.repeats}; shap {version('shap')}")
    for case in CASES:
        if case.name in options.cases:
            measure = _measure_cold if case.cold else _measure_warm
            chosen = replace(case, max_evals=options.evals or case.max_evals)
            results, difference = measure(chosen, options.contenders, options.repeats)
            _print(chosen, results, difference)


def _options() -> argparse.Namespace:
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("cases", nargs="*", default=names, metavar="CASE", help=", ".join(names))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--evals", type=int, help="evaluations instead of the cases' own")
    parser.add_argument(
        "--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME"
    )
    options = parser.parse_args()
    if unknown := set(options.cases) - set(names):
        parser.error(f"unknown cases {sorted(unknown)}; there are {', '.join(names)}")
    return options


def _measure_warm(case: Case, names: list[str], repeats: int) -> tuple[Results, float | None]:
    children = {name: Child(case.name, name) for name in names}
    results: Results = {name: [] for name in names}
    for _ in range(repeats):
        for name, child in children.items():
            results[name].append(child.measure(case.max_evals))
    for child in children.values():
        child.close()
    return results, _difference(case, children)


def _measure_cold(case: Case, names: list[str], repeats: int) -> tuple[Results, float | None]:
    results: Results = {name: [] for name in names}
    for _ in range(repeats):
        children = {}
        for name in names:
            children[name] = Child(case.name, name)
            results[name].append(children[name].measure(case.max_evals))
            children[name].close()
    return results, _difference(case, children)


def _difference(case: Case, children: dict[str, Child]) -> float | None:
    """Return our distance from shap's values over shap's largest; None where those are all 0.

    None also if the two are means over different orders.
    """
    if not {"shap", "ours"} <= children.keys():
        return None
    if case.method == "permutation" and not DRAWS_ORDERS_AS_WE_DO:
        return None
    theirs, ours = (np.load(children[name].values) for name in ("shap", "ours"))
    largest = np.abs(theirs).max()
    return float(np.abs(theirs - ours).max() / largest) if largest else None


def _print(case: Case, results: Results, difference: float | None) -> None:
    state = "from a loaded model to the first result" if case.cold else "warm"
    what = f"{case.model}, {case.method}, {case.masker}, {case.max_evals} evaluations"
    print(f"\n{case.name}: {what}, {state}")
    print(f"{'':10}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}")
    for name, rows in results.items():
        wall, cpu = _median(rows, "wall_s"), _median(rows, "cpu_s")
        peak = _median(rows, "peak_mb")
        print(f"{name:10}{wall:8.2f}{cpu:8.2f}{peak:9.0f}")
    _print_ratios(results)
    if difference is not None:
        print(f"  values differ from shap's by {difference:.1e} of the largest")


def _print_ratios(results: Results) -> None:
    if "ours" not in results:
        return
    wall, cpu = _median(results["ours"], "wall_s"), _median(results["ours"], "cpu_s")
    print(f"  ours: wall {wall * CPU_COUNT / cpu:.2f} x CPU seconds / cores")
    for name in results:
        if name == "ours":
            continue
        walls = _median(results[name], "wall_s") / wall
        cpus = _median(results[name], "cpu_s") / cpu
        peaks = _median(results[name], "peak_mb") / _median(results["ours"], "peak_mb")
        print(f"  {name} / ours: wall {walls:.2f}, CPU {cpus:.2f}, peak memory {peaks:.2f}")


def _median(rows: list[Measurement], quantity: str) -> float:
    return float(median(getattr(row, quantity) for row in rows))


if __name__ == "__main__":
    main()
