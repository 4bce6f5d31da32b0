"""Rebuilds the matrices in a checkpoint, with numpy, from what the file says about them.

    pip install numpy safetensors
    python examples/rebuild.py model.safetensors

The formulas are those of the documentation of each family. They take O(n^2) memory and more time: a definition to read and
to check against, not a way to multiply.
"""

import json
import sys

import numpy as np
from safetensors import safe_open


def pad(v, n):
    return np.pad(v, (0, n - len(v)))


def f_circulant(column, f):
    """The matrix whose first column is given, and where what wraps around is multiplied by f."""
    n = len(column)
    i, j = np.indices((n, n))
    return np.where(i >= j, 1, f) * column[(i - j) % n]


def shift_like(G, H, N, f, e):
    """1/(1 - f e) of the sum of Z_f(g) Z_e(h)^T, cut to m rows and n columns."""
    terms = (f_circulant(pad(g, N), f) @ f_circulant(pad(h, N), e).T for g, h in zip(G, H))
    return sum(terms, np.zeros((N, N)))[: G.shape[1], : H.shape[1]] / (1 - f * e)


def vandermonde_like(v, G, H, N):
    """The sum of diag(g) V Z_f(h)^T, f = 1/2, its rows divided by 1 - f v^N, cut to n columns."""
    V = v[:, None] ** np.arange(N)
    terms = (g[:, None] * (V @ f_circulant(pad(h, N), 0.5).T) for g, h in zip(G, H))
    return (sum(terms, np.zeros_like(V)) / (1 - 0.5 * v**N)[:, None])[:, : H.shape[1]]


def on_circle(theta, m):
    """The complex nodes of m real rows; an odd row is the real node 1."""
    return np.exp(1j * np.concatenate([theta, [0.0] * (m % 2)]))


def rows_of_complex(C, m):
    """Real and imaginary parts in turn, the first m of them."""
    return np.stack([C.real, C.imag], 1).reshape(-1, C.shape[1])[:m]


def cauchy_nodes(tensor, constants, m, n):
    if "s" in constants:
        return np.array(constants["s"]), np.array(constants["t"])
    if "free" in constants:
        return tensor("s"), tensor("t")
    # Nodes in an order that stays, the gaps between neighbours trained; evenly interleaved unless the file says otherwise.
    even = np.concatenate([(2 * np.arange(m) + 1) * n, (2 * np.arange(n) + 1) * m])
    order = np.array(constants.get("order", np.argsort(even, kind="stable")), int)
    gaps = constants.get("gap", [1e-3])[0] + np.logaddexp(0, tensor("gaps"))
    places = np.concatenate([[0.0], np.cumsum(gaps)])
    z = np.empty(m + n)
    z[order] = tensor("centre") + places - places.mean()
    return z[:m], z[m:]


def learned_operator(A):
    """Entries below the diagonal, the corner in the top right first; of three diagonals also the diagonal, and the entries
    above it, the corner in the bottom left last."""
    below, on, above = A if A.ndim == 2 else (A, 0 * A, 0 * A)
    down = np.roll(np.eye(len(below)), 1, 0)
    return below[:, None] * down + np.diag(on) + above[:, None] * down.T


def krylov(A, v):
    columns = [pad(v, len(A))]
    while len(columns) < len(A):
        columns.append(A @ columns[-1])
    return np.stack(columns, 1)


def matrix(layer, tensor):
    """The matrix of a layer, by its description and its tensors."""
    family, m, n = layer["family"], layer["rows"], layer["cols"]
    constants = layer.get("constants", {})
    family, choice = (family, None) if isinstance(family, str) else next(iter(family.items()))
    order = int(constants["order"][0]) if family.endswith(("eplitz-like", "ankel-like", "onde-like", "ift-like")) else None
    i, j = np.indices((m, n))
    match family:
        case "circulant" | "skew-circulant" | "f-circulant":
            f = {"circulant": 1, "skew-circulant": -1}.get(family, choice)
            return f_circulant(tensor("c"), f)[:m, :n]
        case "toeplitz":
            return tensor("t")[i + n - 1 - j]
        case "hankel":
            return tensor("h")[i + j]
        case "toeplitz-plus-hankel":
            return tensor("t")[i + n - 1 - j] + tensor("h")[i + j]
        case "vandermonde":
            return tensor("v")[i] ** j
        case "transposed-vandermonde":
            return tensor("v")[j] ** i
        case "circle-vandermonde":
            return tensor("scale") * rows_of_complex(on_circle(tensor("theta"), m)[:, None] ** np.arange(n), m)
        case "transposed-circle-vandermonde":
            return tensor("scale") * rows_of_complex(on_circle(tensor("theta"), n)[:, None] ** np.arange(m), n).T
        case "cauchy":
            s, t = cauchy_nodes(tensor, constants, m, n)
            return 1 / (s[:, None] - t)
        case "dense":
            return tensor("M")
    # All others have generators, stored one column a row; at rank 0 there are none.
    G, H = (tensor("G"), tensor("H")) if layer["rank"] else (np.zeros((0, m)), np.zeros((0, n)))
    match family:
        case "low-rank":
            return G.T @ H
        case "toeplitz-like":
            return shift_like(G, H, order, 1, -1)
        case "hankel-like":
            return shift_like(G, H, order, 1, -1)[:, ::-1]
        case "shift-like":
            # Of the pair (Z_f, Z_e^T), or that with rows or columns in reversed order.
            (rows, f), (cols, e) = (next(iter(operator.items())) for operator in choice)
            a, b = (1 if rows == "plain" else -1), (1 if cols == "transposed" else -1)
            return shift_like(G[:, ::a], H[:, ::b], order, f, e)[::a, ::b]
        case "vandermonde-like":
            v = np.array(constants["v"]) if "v" in constants else tensor("v")
            return vandermonde_like(v, G, H, order)
        case "circle-vandermonde-like":
            theta = np.array(constants["theta"]) if "theta" in constants else tensor("theta")
            G = np.pad(G, ((0, 0), (0, m % 2)))
            return rows_of_complex(vandermonde_like(on_circle(theta, m), G[:, ::2] + 1j * G[:, 1::2], H, order), m)
        case "cauchy-like":
            s, t = cauchy_nodes(tensor, constants, m, n)
            return (G.T @ H) / (s[:, None] - t)
        case "learned-subdiagonal" | "learned-tridiagonal":
            A, B = learned_operator(tensor("A")), learned_operator(tensor("B"))
            terms = (krylov(A, g) @ krylov(B, h).T for g, h in zip(G, H))
            return 0.5 * sum(terms, np.zeros_like(A))[:m, :n]
    raise ValueError(f"no family {family!r} is known here")


def layers(path):
    """Names, descriptions and matrices of all layers that a file describes."""
    with safe_open(path, "np") as file:
        for name, layer in json.loads(file.metadata()["displace"])["layers"].items():
            prefix = f"{name}." if name else ""
            yield name, layer, matrix(layer, lambda tensor: file.get_tensor(prefix + tensor).astype(float))


if __name__ == "__main__":
    for name, layer, M in layers(sys.argv[1]):
        print(f"{name or '(no name)'}: {layer['family']}, {M.shape[0]}x{M.shape[1]}, norm {np.linalg.norm(M):.6g}")
