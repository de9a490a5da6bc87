"""What people do: visits to the app that end in purchases now and then, and campaigns that bring them back."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from events.demo import words
from events.demo.people import Shopper

Record = dict[str, Any]
PRODUCTS = [(name, price, category) for category, items in words.CATALOGUE.items() for name, price in items]
REACTIONS = (("Push Impressions", 0.75, 8), ("Notification Viewed", 0.35, 900), ("Notification Clicked", 0.07, 40))


class Visit:
    """One visit: events one after another, each some seconds after the one before."""

    def __init__(self, random: Random, shopper: Shopper, start: int, version: str) -> None:
        self.random = random
        self.shopper = shopper
        self.start = self.now = start
        self.session = start
        self.device_data = {"CT App Version": version, **shopper.base}
        self.cart: list[tuple[str, int, str]] = []

    def records(self, *, installs: bool) -> Iterator[Record]:
        random = self.random
        if installs:
            yield self.event("App Installed", ct_app_version=self.device_data["CT App Version"])
        if random.random() < 0.05:
            source, medium = random.choice(words.SOURCES)
            yield self.event("UTM Visited", utm_source=source, utm_medium=medium, Install="y" if installs else "n")
        yield self.event("App Launched", **self.device_data, **{"CT Session Id": self.session})
        if self.shopper.identity and not self.shopper.signed_in and random.random() < 0.8:
            yield from self._sign_up()
        for _ in range(1 + int(random.expovariate(0.45))):
            yield from self._look()
        if self.cart and random.random() < 0.45:
            yield from self._check_out()
        yield self.event("Session Concluded", **{"Session Length": self.now - self.start, "Session Id": self.session})

    def event(self, name: str, **data: Any) -> Record:
        self.now += self.random.randrange(2, 75)
        record: Record = {"type": "event", "evtName": name, "ts": self.now, "evtData": data}
        return record | self.who

    @property
    def who(self) -> dict[str, str]:
        shopper = self.shopper
        signed = {"identity": shopper.identity} if shopper.identity and shopper.signed_in else {}
        return {**signed, "objectId": shopper.device}

    def _sign_up(self) -> Iterator[Record]:
        self.shopper.signed_in = True
        yield {"type": "profile", "ts": self.now, "profileData": self.shopper.profile, **self.who}
        yield self.event("Signed Up", Method=self.random.choice(("OTP", "Google", "Email")))

    def _look(self) -> Iterator[Record]:
        random = self.random
        chance = random.random()
        if chance < 0.28:
            yield self.event("Searched", Query=random.choice(words.SEARCHES), Results=random.randrange(0, 60))
        elif chance < 0.45:
            yield self.event("Category Viewed", Category=random.choice(list(words.CATALOGUE)))
        name, price, category = product = random.choice(PRODUCTS)
        about = {"Product": name, "Category": category, "Price": price}
        yield self.event("Product Viewed", **about)
        chance = random.random()
        if chance < 0.24:
            self.cart.append(product)
            yield self.event("Added To Cart", **about, Quantity=random.choice((1, 1, 1, 2, 3)))
        elif chance < 0.29:
            yield self.event("Added To Wishlist", **about)
        elif chance < 0.31:
            yield self.event("Product Rated", **about, Rating=random.randint(1, 5), Review=random.choice(words.REVIEWS))

    def _check_out(self) -> Iterator[Record]:
        random = self.random
        yield self.event("Checkout Started", Items=len(self.cart))
        if random.random() < 0.3:
            yield self.event(
                "Coupon Applied", Coupon=random.choice(words.COUPONS), Discount=random.choice((25, 50, 100))
            )
        payment = random.choices(words.PAYMENTS, [share for _, share in words.PAYMENTS])[0][0]
        if random.random() < 0.06:
            yield self.event("Payment Failed", **{"Payment mode": payment, "Reason": "bank / network time-out"})
        yield self.event("Charged", **self._order(payment))

    def _order(self, payment: str) -> dict[str, Any]:
        items = [
            {"Product": name, "Category": category, "Price": price, "Quantity": self.random.choice((1, 1, 2))}
            for name, price, category in self.cart
        ]
        return {
            "Amount": sum(int(item["Price"]) * int(item["Quantity"]) for item in items),
            "Currency": "INR",
            "Payment mode": payment,
            "Charged ID": f"ORD-{self.random.randrange(10**9):09}",
            "Delivery By": f"$D_{self.now + 86_400}",
            "Items": items,
        }


def campaign(random: Random, people: list[Shopper], day: date, number: int, start: int) -> Iterator[Record]:
    """One message to many, and what those do who notice it."""
    name, channel = random.choice(words.CAMPAIGNS)
    about = {"Campaign id": f"{1_700 + number}_{day:%Y%m%d}", "Campaign name": name, "Campaign type": channel}
    for shopper in people:
        data = {**about, "Variant": random.choice(("Variant A", "Variant B"))}
        who = {"objectId": shopper.device} | ({"identity": shopper.identity} if shopper.identity else {})
        sent = start + random.randrange(600)
        if random.random() < 0.05:
            yield {"type": "event", "evtName": "Control Group", "ts": sent, "evtData": data, **who}
            continue
        yield {"type": "event", "evtName": "Notification Sent", "ts": sent, "evtData": data, **who}
        for reaction, share, delay in REACTIONS:
            if random.random() > share:
                break
            sent += random.randrange(1, delay)
            yield {"type": "event", "evtName": reaction, "ts": sent, "evtData": data, **who}
        if random.random() < 0.004:
            data = {**about, "Type": channel, "Reason": "too many messages"}
            yield {"type": "event", "evtName": "Channel Unsubscribed", "ts": sent + 60, "evtData": data, **who}


def moment(random: Random, midnight: datetime) -> int:
    """A second of the local day that begins at `midnight`, by the hours' shares."""
    hour = random.choices(range(24), words.HOURS)[0]
    return int((midnight + timedelta(hours=hour, seconds=random.randrange(3600))).timestamp())
