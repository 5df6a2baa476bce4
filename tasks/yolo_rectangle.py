"""A YOLO exported for one square size, made to take rectangles: the grey bars of a 4:3 picture are a quarter of it.

Such a file has the square's grid written into constants: the centre and stride of every cell, and the shapes of the
heads and of the attention at the coarsest grid. A picture that fills the top left of the square uses the cells of its
own rows and columns; the others are cut away. What remains is what an export for that rectangle would hold.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import openvino

STRIDES = (8, 16, 32)  # px between the cells of YOLO's three grids


def cut(model: "openvino.Model", side: int, height: int, width: int) -> "openvino.Model | None":
    """A copy of `model`, exported for `side` x `side` px, that takes `height` x `width`; None where it cannot be cut.

    Sides are multiples of 32 px and at most `side`.
    """
    from openvino import PartialShape, opset13

    model = model.clone()
    keep = _cells(side, height, width)
    last = STRIDES[-1]
    cells, side_cells = (side // last) ** 2, side // last
    rows, columns = height // last, width // last
    for op in model.get_ops():
        if op.get_type_name() != "Constant":
            continue
        shape, readers = list(op.get_output_shape(0)), list(op.output(0).get_target_inputs())
        if keep.size in shape:
            new = np.take(op.get_data(), np.flatnonzero(keep), axis=shape.index(keep.size))
        elif all(r.get_node().get_type_name() == "Reshape" and r.get_index() == 1 for r in readers):
            old = op.get_data().tolist()
            new = np.array([{keep.size: int(keep.sum()), cells: rows * columns}.get(n, n) for n in old], np.int64)
            if old[-2:] == [side_cells, side_cells]:
                new[-2:] = rows, columns
        else:
            continue
        constant = opset13.constant(new, op.get_element_type())
        for reader in readers:
            reader.replace_source_output(constant.output(0))
    try:
        model.input(0).get_node().set_partial_shape(PartialShape([1, 3, height, width]))
        model.validate_nodes_and_infer_types()
    except RuntimeError:  # a shape was written down somewhere else
        return None
    shape = list(model.output(0).get_partial_shape())
    return model if shape[-1] == int(keep.sum()) else None


def _cells(side: int, height: int, width: int) -> np.ndarray:
    """bool (cells of all grids,), row by row from the finest: which of them lie in the rectangle at the top left."""
    grids = []
    for stride in STRIDES:
        inside = np.zeros((side // stride, side // stride), bool)
        inside[: height // stride, : width // stride] = True
        grids.append(inside.ravel())
    return np.concatenate(grids)
