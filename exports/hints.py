"""What the engagement events are (seed, Engagement Events): hints beside the choice, each name once."""

ENGAGEMENT_HINTS = {
    "Notification Sent": "The notification was sent to the channel that you chose for your campaign.",
    "Notification Viewed": "A user viewed an email, an in-app notification or a web notification.",
    "Notification Clicked": "A user clicked a mobile push, in-app, email, web popup or web push message.",
    "Push Impressions": "A push notification was delivered on a user’s device.",
    "Notification Replied": "A user replied to a WhatsApp message.",
    "Push Unregistered": "The user unregistered from push notifications.",
    "Control Group": "A campaign was activated with a control group.",
    "Channel Unsubscribed": "The user unsubscribed from further communication through a channel.",
    "Reachable By": "The user became reachable by SMS, email or mobile push, or such a channel changed.",
    "Notification Delivered": "Communication was delivered to the user’s device.",
    "AB Experiment Rendered": "Communication was delivered to a user who is part of an A/B experiment campaign.",
    "AB Experiment Stopped": "An A/B experiment was stopped.",
    "AB Experiment Rolled Out": "An A/B experiment was started.",
    "Geocluster Entered": "A device entered a geofence.",
    "Geocluster Exited": "A device left a geofence.",
    "Reply Sent": "An agent replied to a message from the user.",
    "App Uninstalled": "A user uninstalled your application.",
    "Webhook Delivered": "A webhook campaign was delivered.",
    "State Transitioned": "A user moved from one stage of the Lifecycle Optimizer to another.",
    "UTM Visited": "A user clicked a link of a marketing campaign that has a UTM parameter.",
}
