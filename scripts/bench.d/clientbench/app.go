package main

func benchApps(int) error { return nil }

const roleEnv = "CLIENTBENCH_ROLE"

func runApp(string) error { return nil }
