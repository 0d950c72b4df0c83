from hf_deepfake.progress import Progress, left


def test_time_left_by_hand():
    assert left(10, 40, 20.0) == "01:00 left"
    assert left(39, 40, 0.1) == "00:01 left"  # while work remains it is never 00:00
    assert left(0, 40, 0.0) == ""
    assert left(40, 40, 20.0) == ""
    assert left(1, 3600, 2.0) == "1:59:58 left"


def test_a_log_gets_a_line_every_half_minute(clock, capsys):
    with Progress("scores", 100, "images") as bar:
        for _ in range(7):
            clock.now += 10
            bar.update(10)
    assert capsys.readouterr().err.splitlines() == [
        "scores: 30 of 100 images, 01:10 left",
        "scores: 60 of 100 images, 00:40 left",
    ]


def test_other_processes_are_silent(clock, capsys):
    with Progress("scores", 2, "images", shown=False) as bar:
        clock.now += 60
        bar.update()
        bar.say("a line")
    assert capsys.readouterr().err == ""
