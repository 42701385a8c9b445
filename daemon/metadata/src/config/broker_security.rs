//! Settings of nodes. TLS, SASL and tokens between clients and nodes.
//!
//! Names, types, defaults and rules are those of Kafka 4.3.1, the sentences are our own.

use super::table::Effect::{self, Later};
use super::table::ValidValues::{Any, Boolean, Integer, Number, OneOf, OneOfAnyCase};
use super::table::{ANY_INT, ANY_LONG, ANY_SHORT, I64, NO_CONTROLLER, NO_JAVA};

const OWN_PEERS: Effect = Effect::Never("nodes speak to each other by their own protocol");

settings! {
    /// Sorted by name.
    pub(super) SECURITY;
    "authorizer.class.name": String = Some(""), Any, ReadOnly, NO_JAVA,
        "The class that decides who may do what; empty lets everybody do everything.";
    "delegation.token.expiry.check.interval.ms": Long = Some("3600000"),
        Integer(1, I64), ReadOnly, Later,
        "How often it is looked for delegation tokens whose time is up.";
    "delegation.token.expiry.time.ms": Long = Some("86400000"), Integer(1, I64), ReadOnly, Later,
        "How long a delegation token is good before it must be renewed.";
    "delegation.token.max.lifetime.ms": Long = Some("604800000"), Integer(1, I64), ReadOnly, Later,
        "How long a delegation token is good at most, renewed or not.";
    "delegation.token.secret.key": Password = None, Any, ReadOnly, Later,
        "The secret with which delegation tokens are made and checked.";
    "principal.builder.class": Class = Some("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"),
        Any, PerBroker, NO_JAVA,
        "The class that makes a name for who is at the other end of a connection.";
    "sasl.client.callback.handler.class": Class = None, Any, ReadOnly, NO_JAVA,
        "The class that answers the questions of a SASL mechanism on the client's side.";
    "sasl.enabled.mechanisms": List = Some("GSSAPI"), Any, PerBroker, Later,
        "The SASL mechanisms that clients may choose from.";
    "sasl.jaas.config": Password = None, Any, PerBroker, Later,
        "Credentials and options of SASL in the format of JAAS.";
    "sasl.kerberos.kinit.cmd": String = Some("/usr/bin/kinit"), Any, PerBroker, NO_JAVA,
        "The path of Kerberos' kinit.";
    "sasl.kerberos.min.time.before.relogin": Long = Some("60000"), ANY_LONG, PerBroker, NO_JAVA,
        "How long the thread that renews Kerberos tickets sleeps at least.";
    "sasl.kerberos.principal.to.local.rules": List = Some("DEFAULT"), Any, PerBroker, Later,
        "How Kerberos principals become short names.";
    "sasl.kerberos.service.name": String = None, Any, PerBroker, Later,
        "The name under which Kerberos knows this service.";
    "sasl.kerberos.ticket.renew.jitter": Double = Some("0.05"), Number, PerBroker, NO_JAVA,
        "By which part the time of renewal of a Kerberos ticket varies.";
    "sasl.kerberos.ticket.renew.window.factor": Double = Some("0.8"), Number, PerBroker, NO_JAVA,
        "After which part of its life a Kerberos ticket is renewed.";
    "sasl.login.callback.handler.class": Class = None, Any, ReadOnly, NO_JAVA,
        "The class that answers the questions of a login.";
    "sasl.login.class": Class = None, Any, ReadOnly, NO_JAVA,
        "The class that logs in.";
    "sasl.login.connect.timeout.ms": Int = None, ANY_INT, ReadOnly, Later,
        "How long a connection to the provider of identities may take to open.";
    "sasl.login.read.timeout.ms": Int = None, ANY_INT, ReadOnly, Later,
        "How long the answer of the provider of identities may take.";
    "sasl.login.refresh.buffer.seconds": Short = Some("300"), ANY_SHORT, PerBroker, Later,
        "How many seconds before its end a credential is renewed at the latest.";
    "sasl.login.refresh.min.period.seconds": Short = Some("60"), ANY_SHORT, PerBroker, Later,
        "How many seconds a credential is kept at least before it is renewed.";
    "sasl.login.refresh.window.factor": Double = Some("0.8"), Number, PerBroker, Later,
        "After which part of its life a credential is renewed.";
    "sasl.login.refresh.window.jitter": Double = Some("0.05"), Number, PerBroker, Later,
        "By which part the time of renewal of a credential varies.";
    "sasl.login.retry.backoff.max.ms": Long = Some("10000"), ANY_LONG, ReadOnly, Later,
        "How long at most to wait between two tries to log in.";
    "sasl.login.retry.backoff.ms": Long = Some("100"), ANY_LONG, ReadOnly, Later,
        "How long to wait before logging in is tried again.";
    "sasl.mechanism.controller.protocol": String = Some("GSSAPI"), Any, ReadOnly, NO_CONTROLLER,
        "The SASL mechanism towards controllers.";
    "sasl.mechanism.inter.broker.protocol": String = Some("GSSAPI"), Any, PerBroker, OWN_PEERS,
        "The SASL mechanism among brokers.";
    "sasl.oauthbearer.assertion.algorithm": String = Some("RS256"),
        OneOfAnyCase(&["ES256", "RS256"]), ReadOnly, Later,
        "The algorithm with which an assertion is signed.";
    "sasl.oauthbearer.assertion.claim.aud": String = None, Any, ReadOnly, Later,
        "For whom an assertion is.";
    "sasl.oauthbearer.assertion.claim.exp.seconds": Int = Some("300"),
        Integer(0, 86_400), ReadOnly, Later,
        "For how many seconds an assertion is good.";
    "sasl.oauthbearer.assertion.claim.iss": String = None, Any, ReadOnly, Later,
        "Who issues an assertion.";
    "sasl.oauthbearer.assertion.claim.jti.include": Boolean = Some("false"),
        Boolean, ReadOnly, Later,
        "Whether each assertion gets an id of its own.";
    "sasl.oauthbearer.assertion.claim.nbf.seconds": Int = Some("60"),
        Integer(0, 3600), ReadOnly, Later,
        "How many seconds before now an assertion begins to be good, for clocks that differ.";
    "sasl.oauthbearer.assertion.claim.sub": String = None, Any, ReadOnly, Later,
        "About whom an assertion is.";
    "sasl.oauthbearer.assertion.file": String = None, Any, ReadOnly, Later,
        "A file that holds an assertion made elsewhere.";
    "sasl.oauthbearer.assertion.private.key.file": String = None, Any, ReadOnly, Later,
        "A file with the key that signs assertions.";
    "sasl.oauthbearer.assertion.private.key.passphrase": Password = None, Any, ReadOnly, Later,
        "The passphrase of the key that signs assertions.";
    "sasl.oauthbearer.assertion.template.file": String = None, Any, ReadOnly, Later,
        "A file with claims that every assertion gets.";
    "sasl.oauthbearer.client.credentials.client.id": String = None, Any, ReadOnly, Later,
        "The id with which tokens are asked for.";
    "sasl.oauthbearer.client.credentials.client.secret": Password = None, Any, ReadOnly, Later,
        "The secret with which tokens are asked for.";
    "sasl.oauthbearer.clock.skew.seconds": Int = Some("30"), ANY_INT, ReadOnly, Later,
        "By how many seconds the clocks of provider and node may differ.";
    "sasl.oauthbearer.expected.audience": List = Some(""), Any, ReadOnly, Later,
        "For whom a token must be, one of these.";
    "sasl.oauthbearer.expected.issuer": String = None, Any, ReadOnly, Later,
        "Who must have issued a token.";
    "sasl.oauthbearer.jwks.endpoint.refresh.ms": Long = Some("3600000"), ANY_LONG, ReadOnly, Later,
        "How often the provider's keys are fetched again.";
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms": Long = Some("10000"),
        ANY_LONG, ReadOnly, Later,
        "How long at most to wait between two tries to fetch the provider's keys.";
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms": Long = Some("100"),
        ANY_LONG, ReadOnly, Later,
        "How long to wait before fetching the provider's keys is tried again.";
    "sasl.oauthbearer.jwks.endpoint.url": String = None, Any, ReadOnly, Later,
        "Where the provider's keys are found.";
    "sasl.oauthbearer.jwt.retriever.class": Class = Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"),
        Any, ReadOnly, NO_JAVA,
        "The class that fetches tokens.";
    "sasl.oauthbearer.jwt.validator.class": Class = Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"),
        Any, ReadOnly, NO_JAVA,
        "The class that checks tokens.";
    "sasl.oauthbearer.scope": String = None, Any, ReadOnly, Later,
        "What a token that is asked for shall permit.";
    "sasl.oauthbearer.scope.claim.name": String = Some("scope"), Any, ReadOnly, Later,
        "The claim in which a token says what it permits.";
    "sasl.oauthbearer.sub.claim.name": String = Some("sub"), Any, ReadOnly, Later,
        "The claim in which a token says whom it is about.";
    "sasl.oauthbearer.token.endpoint.url": String = None, Any, ReadOnly, Later,
        "Where tokens are asked for.";
    "sasl.server.callback.handler.class": Class = None, Any, ReadOnly, NO_JAVA,
        "The class that answers the questions of a SASL mechanism on the server's side.";
    "sasl.server.max.receive.size": Int = Some("524288"), ANY_INT, ReadOnly, Later,
        "How many bytes a client may send before it has proved who it is.";
    "security.providers": String = None, Any, ReadOnly, NO_JAVA,
        "Classes that bring security algorithms with them.";
    "ssl.allow.dn.changes": Boolean = Some("false"), Boolean, ReadOnly, Later,
        "Whether a new certificate of a running listener may have another name.";
    "ssl.allow.san.changes": Boolean = Some("false"), Boolean, ReadOnly, Later,
        "Whether a new certificate of a running listener may have other alternative names.";
    "ssl.cipher.suites": List = Some(""), Any, PerBroker, Later,
        "The cipher suites that TLS may use; none named allows all that are safe.";
    "ssl.client.auth": String = Some("none"),
        OneOf(&["none", "requested", "required"]), PerBroker, Later,
        "Whether clients must, may or need not show a certificate.";
    "ssl.enabled.protocols": List = Some("TLSv1.2,TLSv1.3"), Any, PerBroker, Later,
        "The versions of TLS that are spoken.";
    "ssl.endpoint.identification.algorithm": String = Some("https"), Any, PerBroker, Later,
        "How the name in a certificate is compared with the name of the server; empty does not compare.";
    "ssl.engine.factory.class": Class = None, Any, PerBroker, NO_JAVA,
        "The class that makes TLS engines.";
    "ssl.key.password": Password = None, Any, PerBroker, Later,
        "The password of the private key.";
    "ssl.keymanager.algorithm": String = Some("SunX509"), Any, PerBroker, NO_JAVA,
        "The algorithm of Java's key manager.";
    "ssl.keystore.certificate.chain": Password = None, Any, PerBroker, Later,
        "The node's certificate and those above it, as PEM.";
    "ssl.keystore.key": Password = None, Any, PerBroker, Later,
        "The node's private key, as PEM.";
    "ssl.keystore.location": String = None, Any, PerBroker, Later,
        "The file with the node's key and certificate.";
    "ssl.keystore.password": Password = None, Any, PerBroker, Later,
        "The password of the file with the node's key.";
    "ssl.keystore.type": String = Some("JKS"), Any, PerBroker, Later,
        "The format of the file with the node's key.";
    "ssl.principal.mapping.rules": String = Some("DEFAULT"), Any, ReadOnly, Later,
        "How the name in a certificate becomes the name of a user.";
    "ssl.protocol": String = Some("TLSv1.3"), Any, PerBroker, Later,
        "The version of TLS with which contexts are made.";
    "ssl.provider": String = None, Any, PerBroker, NO_JAVA,
        "The Java provider of TLS.";
    "ssl.secure.random.implementation": String = None, Any, PerBroker, NO_JAVA,
        "The Java source of random numbers for TLS.";
    "ssl.trustmanager.algorithm": String = Some("PKIX"), Any, PerBroker, NO_JAVA,
        "The algorithm of Java's trust manager.";
    "ssl.truststore.certificates": Password = None, Any, PerBroker, Later,
        "The certificates of authorities that are trusted, as PEM.";
    "ssl.truststore.location": String = None, Any, PerBroker, Later,
        "The file with the certificates that are trusted.";
    "ssl.truststore.password": Password = None, Any, PerBroker, Later,
        "The password of the file with the certificates that are trusted.";
    "ssl.truststore.type": String = Some("JKS"), Any, PerBroker, Later,
        "The format of the file with the certificates that are trusted.";
}
