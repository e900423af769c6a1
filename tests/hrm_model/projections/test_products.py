"""The projections that stand in for nn.Linear: near it, the same whatever the batch, and sized as was said."""

import os
import subprocess
import sys
from collections.abc import Callable
from math import hypot

import pytest
import torch
from torch import Tensor, nn

from hrm_model.projections.choose import projections
from hrm_model.projections.int4 import KERNEL_ROWS, Int4Linear, Unpacker, block_outputs
from hrm_model.projections.int8 import Int8Linear, widest_weight
from hrm_model.projections.packed import PackedLinear, can_pack
from hrm_model.projections.rounding import WIDEST, round_groups, round_rows
from hrm_model.projections.widened import FEW_ROWS, Scratch, WidenedLinear, can_multiply

Make = Callable[[Tensor, torch.dtype], nn.Module]
SHAPES = [(128, 64), (192, 256), (50, 100), (1, 3), (33, 65), (512, 96)]
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
ROWS = (1, 2, 3, KERNEL_ROWS, KERNEL_ROWS + 1, 100)


def int8(weight: Tensor, dtype: torch.dtype) -> nn.Module:
    return Int8Linear.of(weight)


def int4(weight: Tensor, dtype: torch.dtype) -> nn.Module:
    return Int4Linear.of(weight, dtype, Unpacker())


def drawn(outputs: int, inputs: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(outputs)
    return torch.randn(outputs, inputs, generator=generator), torch.randn(100, inputs, generator=generator).to(dtype)


def relative(got: Tensor, wanted: Tensor) -> float:
    return float((got.float() - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("make", [int8, int4])
def test_an_output_does_not_depend_on_how_many_rows_came_with_it(
    make: Make, dtype: torch.dtype, shape: tuple[int, int]
) -> None:
    weight, x = drawn(*shape, dtype)
    linear = make(weight, dtype)

    together = linear(x)

    assert together.dtype is dtype
    for rows in ROWS:
        assert torch.equal(linear(x[:rows]), together[:rows]), f"{rows} rows"
        assert torch.equal(linear(x[-rows:]), together[-rows:]), f"the last {rows} rows"


@pytest.mark.parametrize("shape", SHAPES)
def test_int8_is_the_product_of_what_was_rounded(shape: tuple[int, int]) -> None:
    weight, x = drawn(*shape, torch.float32)
    (whole_O, scale_O), (whole_T, scale_T) = round_rows(weight, widest_weight()), round_rows(x)

    wanted = (whole_T.double() @ whole_O.double().t()) * scale_T.double() * scale_O.double().t()

    torch.testing.assert_close(Int8Linear.of(weight)(x).double(), wanted, rtol=1e-6, atol=0)


@pytest.mark.parametrize("group", [32, 64, 128])
@pytest.mark.parametrize("shape", SHAPES)
def test_int4_is_the_product_of_what_was_rounded(shape: tuple[int, int], group: int) -> None:
    weight, x = drawn(*shape, torch.float32)
    padded = nn.functional.pad(weight, (0, -shape[1] % group))
    rounded, (whole_T, scale_T) = round_groups(padded, group, widest_weight() // 8), round_rows(x)
    wanted = (whole_T.double() @ rounded.int8_OI[:, : shape[1]].double().t()) * scale_T.double() * rounded.scale_O

    linear = Int4Linear.of(weight, torch.float32, Unpacker(), group)

    for rows in (KERNEL_ROWS, len(x)):
        torch.testing.assert_close(linear(x[:rows]).double(), wanted[:rows], rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_are_near_those_of_the_weight(dtype: torch.dtype) -> None:
    weight, x = drawn(192, 256, dtype)
    wanted = x.float() @ weight.t()

    # Of normal numbers rounding to 127 steps loses 0.7 % each side, to int4 9 %: see test_rounding.py.
    assert relative(Int8Linear.of(weight)(x), wanted) < 1.3 * hypot(0.007, 0.007 * WIDEST / widest_weight())
    assert 0.05 < relative(int4(weight, dtype)(x), wanted) < 0.1


def test_packed_bf16_is_bf16_on_every_cpu_that_is_said_to_have_it() -> None:
    weight, x = drawn(192, 256, torch.bfloat16)
    if not can_pack(torch.bfloat16):
        with pytest.raises(RuntimeError, match="cpu support"):
            PackedLinear(weight)
        return

    got = PackedLinear(weight)(x)

    torch.testing.assert_close(got, nn.functional.linear(x, weight.bfloat16()), rtol=2**-7, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rows", [1, FEW_ROWS, FEW_ROWS + 1, 100])
def test_a_widened_product_is_that_of_the_same_weight_in_fp32(
    dtype: torch.dtype, shape: tuple[int, int], rows: int
) -> None:
    weight, x = drawn(*shape, dtype)
    linear = WidenedLinear(weight, dtype, Scratch())

    got = linear(x[:rows])

    wanted = x[:rows].float() @ weight.to(dtype).float().t()
    assert got.dtype is dtype
    torch.testing.assert_close(got.float(), wanted, rtol=2**-8, atol=0.01)


def test_projections_share_the_memory_that_they_widen_in() -> None:
    narrow, x = drawn(64, 32, torch.bfloat16)
    broad, _ = drawn(192, 32, torch.bfloat16)
    scratch = Scratch()
    first, second = (WidenedLinear(weight, torch.bfloat16, scratch) for weight in (narrow, broad))
    alone = WidenedLinear(narrow, torch.bfloat16, Scratch())(x)

    assert torch.equal(first(x), alone)
    second(x)
    assert torch.equal(first(x), alone)


def test_sixteen_bits_are_multiplied_as_this_cpu_does_it_best() -> None:
    weight, _ = drawn(64, 32, torch.bfloat16)
    project = projections("auto", torch.bfloat16, "cpu")

    assert project is not None
    assert type(project(weight)) is (PackedLinear if can_multiply(torch.bfloat16) else WidenedLinear)
    assert projections("auto", torch.float32, "cpu") is None
    assert projections("auto", torch.bfloat16, "cuda") is None


@pytest.mark.parametrize("make", [int8, int4])
@pytest.mark.parametrize("rows", [2, KERNEL_ROWS + 1])
def test_a_nan_stays_in_its_row(make: Make, rows: int) -> None:
    weight, x = drawn(192, 256, torch.bfloat16)
    spoilt = x[:rows].clone()
    spoilt[1, 3] = float("nan")
    linear = make(weight, torch.bfloat16)

    got = linear(spoilt)

    assert torch.isnan(got[1]).all()
    assert torch.equal(got[0], linear(x[:1])[0])


def test_projections_that_share_an_unpacker_do_not_meet() -> None:
    shared = Unpacker()
    (small, x), (large, y) = drawn(64, 64, torch.float32), drawn(640, 192, torch.float32)

    first, second = (Int4Linear.of(weight, torch.float32, shared) for weight in (small, large))

    for linear, rows, weight in ((first, x, small), (second, y, large), (first, x, small)):
        assert torch.equal(linear(rows), int4(weight, torch.float32)(rows))


# Elsewhere: the same code on CPUs with other instructions, which one environment variable each stands for.

_ELSEWHERE = """
import torch
from hrm_model.projections.int4 import Int4Linear, Unpacker, block_outputs
from hrm_model.projections.int8 import Int8Linear, widest_weight
torch.manual_seed(0)
weight, x = torch.randn(96, 128), torch.randn(20, 128)
wanted = x @ weight.t()
errors = [float((linear(x) - wanted).norm() / wanted.norm())
          for linear in (Int8Linear.of(weight), Int4Linear.of(weight, x.dtype, Unpacker()))]
same = [torch.equal(linear(x)[:4], linear(x[:4]))
        for linear in (Int8Linear.of(weight), Int4Linear.of(weight, x.dtype, Unpacker()))]
print(widest_weight(), block_outputs(), *(f"{error:.3f}" for error in errors), *same)
"""


def elsewhere(**variables: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE],
        env={"OMP_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path), **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.split()


@pytest.mark.parametrize("variables", [{"ONEDNN_MAX_CPU_ISA": "AVX2"}, {"ATEN_CPU_CAPABILITY": "avx2"}])
def test_older_cpus_get_weights_whose_products_are_exact_there(variables: dict[str, str]) -> None:
    widest, block, int8_error, int4_error, *same = elsewhere(**variables)

    assert widest in ("127", "64")
    assert widest == "64" or "ONEDNN_MAX_CPU_ISA" not in variables
    assert block == ("32" if "ATEN_CPU_CAPABILITY" in variables else str(block_outputs()))
    assert float(int8_error) < 0.02
    assert float(int4_error) < 0.12
    assert same == ["True", "True"]


def test_a_cpu_whose_layout_is_not_known_is_refused() -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        elsewhere(ATEN_CPU_CAPABILITY="default")

    assert "torch packs int4 weights in a layout for this CPU that is not known here" in caught.value.stderr


@pytest.mark.parametrize("rows", [1, 2, 8, 128])
@pytest.mark.parametrize("linear", ["int8.Int8Linear.of(weight)", "int4.Int4Linear.of(weight, kind, int4.Unpacker())"])
@pytest.mark.parametrize("kind", ["bfloat16", "float32"])
def test_int8_products_are_none_of_onednns_reference_code(kind: str, linear: str, rows: int) -> None:
    asked = (
        "import torch; from hrm_model.projections import int4, int8;"
        f"weight, kind = torch.randn(256, 128, generator=torch.Generator().manual_seed(0)), torch.{kind};"
        f"({linear})(torch.randn({rows}, 128, dtype=kind))"
    )

    environment = {**os.environ, "ONEDNN_VERBOSE": "1"}
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, env=environment)

    used = [line.split(",")[5:7] for line in done.stdout.splitlines() if ",exec," in line]
    if linear.startswith("int8") or rows > KERNEL_ROWS:  # few rows by int4 are torch's own
        assert [name for kind, name in used if kind in ("matmul", "inner_product")], "a product was made"
    assert not [name for kind, name in used if kind != "reorder" and name.startswith("ref")]
