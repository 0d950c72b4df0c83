from hf_deepfake.report.text_table import align


def test_columns_are_as_wide_as_their_widest_cell_and_lines_end_where_text_does():
    assert align([["a", "bb", ""], ["ccc", "d", "e"]]) == ["a    bb", "ccc  d   e"]
