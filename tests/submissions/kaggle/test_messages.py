from __future__ import annotations

from compete.submissions.kaggle.messages import new_message, tag_of


def test_a_message_names_the_source_and_its_honest_score() -> None:
    message = new_message("stack logistic", "macro-F1", 0.52789)
    assert message == f"{tag_of(message)} stack logistic, honest macro-F1 0.5279"


def test_a_file_of_unknown_origin_claims_no_score() -> None:
    message = new_message("file mine.csv", "macro-F1", None)
    assert message == f"{tag_of(message)} file mine.csv"


def test_no_two_messages_share_a_tag() -> None:
    messages = [new_message("stack logistic", "macro-F1", 0.5) for _ in range(200)]
    assert len({tag_of(message) for message in messages}) == 200
    assert all(sum(tag_of(one) in other for other in messages) == 1 for one in messages)


def test_the_tag_survives_what_a_list_does_to_a_message() -> None:
    message = new_message("stack logistic", "macro-F1", 0.5)
    for changed in (message[:12], f"  {message}\n", f"{message} [late submission]", message.replace(", ", "&#44; ")):
        assert tag_of(message) in changed
        assert tag_of(changed) == tag_of(message)


def test_a_message_without_a_tag_is_found_in_no_other() -> None:
    for message in ("", "my best one", "[0123456]", "[012345678]", "[0123456G]"):
        assert tag_of(message) not in message
        assert tag_of(message) not in new_message("stack logistic", "macro-F1", 0.5)
