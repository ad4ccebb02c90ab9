from grpc import StatusCode

from service import errors
from service.app import STATUS as HTTP
from service.grpc.status import STATUS
from tests.service.test_app import concrete


def test_every_error_of_a_request_has_a_status() -> None:
    assert set(STATUS) == set(concrete(errors.RequestError))


def test_no_fault_of_a_request_is_called_ours() -> None:
    assert not {StatusCode.OK, StatusCode.INTERNAL, StatusCode.UNKNOWN} & set(STATUS.values())


def test_what_can_be_tried_again_is_the_same_through_both_doors() -> None:
    retried = {kind for kind, status in STATUS.items() if status is StatusCode.UNAVAILABLE}
    assert retried == {kind for kind, status in HTTP.items() if status == 503}
