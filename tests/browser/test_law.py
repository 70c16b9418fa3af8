"""The law explorer computes in the page what the laws compute in Python."""

import base64

import numpy as np
import pytest

from workbench.laws import read_table
from workbench.laws.bootstrap import bootstrap
from workbench.laws.library import LAWS
from workbench.laws.problems import fit_table
from workbench.laws.surface import law_rate
from workbench.lessons.shipped import VERBS
from workbench.studies.disk.store import Store
from workbench.views.law_state import EXPLORED
from workbench.views.widgets import LawExplorer

pytestmark = pytest.mark.slow

CALL = """async ([code, fit, size, share]) => {
  const { stateOf, answer } = await import(`data:text/javascript;base64,${code}`);
  const found = answer(stateOf(fit), size, share);
  const rate = found.rate.map(one => (one === Infinity ? null : one));
  return { loss: found.loss, rate, never: found.never };
}"""


@pytest.mark.parametrize("law", [name for name, law in LAWS.items() if set(law.inputs) == EXPLORED])
@pytest.mark.parametrize(("size", "share"), [(32, 0.9), (200, 0.75), (64, 0.5), (2048, 0.9)])
def test_the_page_and_python_agree(browser, law, size, share):
    with Store.open(VERBS, read_only=True) as store:
        resamples = bootstrap(fit_table(read_table(store.table()), "loss", law), 40, workers=1)
    fit = LawExplorer(resamples).fit
    code = base64.b64encode((LawExplorer._esm + "\nexport { stateOf, answer };").encode()).decode()
    page = browser.new_page()
    found = page.evaluate(CALL, [code, fit, size, share])
    page.close()
    x = {"size": np.array([float(size)]), "share": np.array([share])}
    assert found["loss"] == pytest.approx(resamples.fit.predict(x)[0], rel=1e-5)
    rate = law_rate(resamples, {"share": 1.0}, {"share": share}, [size])
    expected = [float(end[0]) for end in (rate.low, rate.median, rate.high)]
    got = [float("inf") if one is None else one for one in found["rate"]]
    assert got == pytest.approx(expected, rel=0.01)
    assert found["never"] == pytest.approx(rate.not_reached[0], abs=0.03)
