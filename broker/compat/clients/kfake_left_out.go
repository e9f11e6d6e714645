package main

// kfakeLeftOut are tests of kfake that could be turned and are not: what they
// assert is the fake's or the client's, not Kafka's. Each has its reason.
var kfakeLeftOut = map[string]string{}
