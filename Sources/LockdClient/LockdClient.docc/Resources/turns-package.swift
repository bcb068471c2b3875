// swift-tools-version: 6.2

import PackageDescription

let package = Package(
    name: "report",
    dependencies: [
        .package(path: "../lockd")
    ],
    targets: [
        .executableTarget(
            name: "report",
            dependencies: [.product(name: "LockdClient", package: "lockd")]
        )
    ]
)
