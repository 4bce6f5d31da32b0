"""Products with unit-circle Vandermonde matrices beside FINUFFT (PyPI, `finufft`), one thread each, burst by burst in turn.

    pip install finufft
    cargo bench --manifest-path benches/peers/Cargo.toml --bench circle --no-run
    python benches/peers/finufft.py PATH-OF-THAT-EXECUTABLE [--quick]

n/2 random nodes, n coefficients, tolerance 1e-12 in f64 and 1e-6 in f32. Times are microseconds an example, the shortest of
all rounds. FINUFFT's results still lack a factor a node, which moves its frequencies from -n/2 on to those from 0 on.
"""
import os
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.pop(0)  # this file has the module's name
import finufft  # noqa: E402
import numpy as np  # noqa: E402

ROUNDS = 25
BURST = 3e-3


class Peer:
    """A plan of FINUFFT's: coefficients to values is its type 2, the adjoint its type 1."""

    def __init__(self, real, n, batch, adjoint):
        number, eps = (np.complex64, 1e-6) if real == "f32" else (np.complex128, 1e-12)
        rng = np.random.default_rng(1)
        self.angles = (2 * np.pi * rng.random(n // 2)).astype(real.replace("f", "float"))
        shape = lambda k: (batch, k) if batch > 1 else (k,)
        self.x = (rng.random(shape(n // 2 if adjoint else n)) - 0.5).astype(number)
        self.y = np.empty(shape(n if adjoint else n // 2), number)
        self.plan = finufft.Plan(1 if adjoint else 2, (n,), batch, eps, 1, number, nthreads=1)
        self.plan.setpts(self.angles)

    def time(self, fresh):
        start, calls = time.perf_counter(), 0
        while calls == 0 or time.perf_counter() - start < BURST:
            if fresh:
                self.plan.setpts(self.angles)
            self.plan.execute(self.x, self.y)
            calls += 1
        return (time.perf_counter() - start) / calls


def main():
    ours = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    sizes = [1 << k for k in range(10, 17)]
    print(f"{'':>22}" + "".join(f"{n:>20}" for n in sizes))
    for real in "f32", "f64":
        for direction in "forward", "adjoint":
            for batch in 1, 64:
                for nodes in "old", "new":
                    row = f"{real} {direction} {batch:>2} {nodes}"
                    cells = []
                    for n in sizes:
                        if "--quick" in sys.argv and n not in (1024, 65536):
                            continue
                        peer, best = Peer(real, n, batch, direction == "adjoint"), [1e9, 1e9]
                        for _ in range(ROUNDS if batch == 1 else 8):
                            ours.stdin.write(f"{real} {n} {batch} {direction} {nodes}\n")
                            ours.stdin.flush()
                            best[0] = min(best[0], float(ours.stdout.readline()))
                            best[1] = min(best[1], peer.time(nodes == "new"))
                        us = [1e6 * t / batch for t in best]
                        cells.append(f"{us[0]:.1f} / {us[1]:.1f}, {us[1] / us[0]:.2f}x")
                    print(f"{row:>22}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
    ours.stdin.close()


main()
