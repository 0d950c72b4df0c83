import gradio as gr

from hf_deepfake.page.compare_tab import PANELS, add_compare


def test_each_side_has_its_own_picker_and_place():
    pickers = []
    with gr.Blocks() as page:
        add_compare(None, lambda template, **values: pickers.append((template, values)))
    assert [values["shows"] for _, values in pickers] == [f"{panel}-verdict" for panel in PANELS]
    ids = {block.elem_id for block in page.blocks.values()}
    assert ids >= {"first", "second", "first-verdict", "second-verdict"}
    checks = [function for function in page.fns.values() if function.fn is not None]
    assert [[block.elem_id for block in function.outputs] for function in checks] == [
        ["first-verdict"],
        ["second-verdict"],
    ]
