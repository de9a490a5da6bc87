"""The tokens in links with which somebody sets a new password."""

from typing import Any

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db.models import Q

from projects.models import Membership, Role


class PasswordLinks(PasswordResetTokenGenerator):
    """Django's: good for a day, once. A link ends, too, when somebody may do more or less than when it was made.

    That is the user, whose account the link opens, and each admin of their projects: one of them may have made it.
    """

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        admin = Q(role=Role.ADMIN, user__is_active=True)
        rows = Membership.objects.filter(admin | Q(user=user), project__memberships__user=user).distinct()
        roles = sorted(rows.values_list("project", "user", "role"))
        return f"{super()._make_hash_value(user, timestamp)}{user.is_staff}{user.is_superuser}{roles}"


password_links = PasswordLinks()
