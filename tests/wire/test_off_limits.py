"""Addresses that an origin-request function may not choose."""

import pytest

from edgefn.model.errors import OriginError, OriginFailure
from edgefn.model.headers import NO_HEADERS
from edgefn.model.message import Request, Viewer, no_body
from edgefn.model.origin import Origin
from edgefn.model.trail import Trail
from edgefn.wire.connecting import is_off_limits
from edgefn.wire.pool import Pool


@pytest.mark.parametrize(
    ("address", "off_limits"),
    [
        ("169.254.169.254", True),
        ("169.254.0.1", True),
        ("fe80::1%eth0", True),
        ("::ffff:169.254.169.254", True),
        ("fd00:ec2::254", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("2002:a9fe:a9fe::1", True),
        ("100.100.100.200", True),
        ("168.63.129.16", True),
        ("192.0.0.192", True),
        ("64:ff9b::5db8:d822", False),
        ("0.0.0.0", True),
        ("224.0.0.1", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("93.184.216.34", False),
        ("2606:4700::1", False),
    ],
)
def test_metadata_addresses_are_off_limits(address: str, off_limits: bool) -> None:
    assert is_off_limits(address) is off_limits


async def test_a_chosen_origin_at_a_metadata_address_is_refused_before_any_connection() -> None:
    pool = Pool()
    chosen = Origin(id="", domain="169.254.169.254", port=80)
    request = Request("GET", "/", None, NO_HEADERS, no_body(), Viewer("127.0.0.1", 1), "id", Trail())

    with pytest.raises(OriginError) as refused:
        await pool.send(request, chosen, lambda _: None)

    assert refused.value.failure is OriginFailure.REFUSED
    await pool.close()
