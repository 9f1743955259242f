"""Published detectors on recorded exchanges, to say what they would have found. Each is a module with scores(exchanges) -> {account id
in hex: score}, higher = more suspicious, and GRID, the parameters it was tuned over."""
import inspect

from . import fraudar, minhash_union_find, mmd, network_grouping, prada, rate, synchrotrap

METHODS = {module.__name__.rpartition(".")[2]: module
           for module in (rate, prada, mmd, network_grouping, synchrotrap, minhash_union_find, fraudar)}


def parameters(method):
    """Those that scores() has when none are given: a frozen threshold holds for these only."""
    return {name: p.default for name, p in inspect.signature(METHODS[method].scores).parameters.items() if p.default is not p.empty}
