"""What the engagement events are, in the words of the seed (Engagement Events): hints beside the choice."""

ENGAGEMENT_HINTS = {
    "Notification Sent": (
        "The event is tracked when the notification is successfully sent from CleverTap to the communication "
        "channel you select for your campaign."
    ),
    "Notification Viewed": (
        "This event is tracked when a user views an email, in-app notification, or a web notification sent from "
        "CleverTap."
    ),
    "Notification Clicked": (
        "This event is tracked only when a user clicks on a notification sent via CleverTap. It is recorded when "
        "a user clicks on a mobile push, in-app, email, web popup, or web push message sent via the CleverTap "
        "dashboard or through the campaign API."
    ),
    "Push Impressions": (
        "This event is tracked when a push notification sent from CleverTap is delivered on a user’s device. The "
        "funnels on the Push campaign statistics page reflect the count for this event."
    ),
    "Notification Replied": "This event is tracked when a user replies to a WhatsApp message.",
    "Push Unregistered": "The event is raised when the user unregisters to receive Push Notifications.",
    "Control Group": "The event is raised when a campaign is activated with a Control group.",
    "Channel Unsubscribed": (
        "The event is raised when a user unsubscribes to receive further communication through a channel."
    ),
    "Reachable By": (
        "The debug event is raised when the user becomes reachable by a communication channel such as SMS, email, "
        "or mobile push, or when there are changes to the existing communication channel. Tracked for a profile "
        "when: Push token is added/changed; Email ID is added/changed; Phone number is added/changed."
    ),
    "Notification Delivered": "This event is recorded when communication is delivered to the user’s device.",
    "AB Experiment Rendered": (
        "This event is recorded when communication is delivered to the user who is part of an A/B experiment campaign."
    ),
    "AB Experiment Stopped": "This event is recorded when AB experiment is stopped.",
    "AB Experiment Rolled Out": "This event is recorded when AB experiment is started.",
    "Geocluster Entered": "This event is recorded to mark when a device enters a geofence.",
    "Geocluster Exited": "This event is recorded to mark when a device exits a geofence.",
    "Reply Sent": "This event is recorded when an agent (CleverTap user) replies to a message from the end-user.",
    "App Uninstalled": "This event is recorded when a user uninstalls your application.",
    "Webhook Delivered": "This event is recorded when a Webhook campaign is delivered successfully.",
    "State Transitioned": (
        "This event is recorded for Lifecycle Optimizer when a user transitions from one stage to another."
    ),
    "UTM Visited": (
        "This event is tracked when a user clicks on a link from a marketing campaign that has a UTM parameter "
        "defined on it."
    ),
}
